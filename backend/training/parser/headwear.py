"""Painted headwear: hair and a part of the forehead as a cap, a wrap or a scarf of cloth."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from backend.people.parsing.backgrounds import draw_background
from backend.people.parsing.pictures import LabelledPicture
from backend.tracking.parser import CLASSES

FOREHEAD, NOSE_ROOT = 10, 168


def put_on_headwear(picture: LabelledPicture, rng: np.random.Generator) -> LabelledPicture:
    """The picture with cloth in place of its hair, down to a line across the forehead or, as a scarf, all of it."""
    skin, hair = (CLASSES.index(name) for name in ("skin", "hair"))
    size = len(picture.image)
    top, root = picture.landmarks[[FOREHEAD, NOSE_ROOT]]
    up = (top - root) / max(float(np.linalg.norm(top - root)), 1.0)
    y, x = np.mgrid[:size, :size].astype(np.float32)
    height = (x - root[0]) * up[0] + (y - root[1]) * up[1]
    edge = rng.uniform(0.35, 1.05) * float(np.linalg.norm(top - root))
    covered = (picture.labels == skin) & (height > edge)
    covered |= (picture.labels == hair) & ((height > edge) | (rng.random() < 0.5))
    covered = cv2.medianBlur(covered.astype(np.uint8), 9)
    cover = cv2.GaussianBlur(covered.astype(np.float32), (0, 0), 1)[..., None]

    # Folds take the place of strands: the light on the hair, smoothed, on another colour and pattern.
    light = cv2.GaussianBlur(cv2.cvtColor(picture.foreground, cv2.COLOR_RGB2GRAY), (0, 0), 7).astype(np.float32)
    inside = light[covered > 0]
    light = light / (inside.mean() + 1) if len(inside) else light
    tint = rng.uniform(-110, 110, 3) * rng.random() ** 2
    cloth = np.clip(rng.uniform(15, 245) + tint, 0, 255) * (0.4 + 0.6 * np.clip(light, 0, 1.8)[..., None])
    if rng.random() < 0.6:
        pattern = draw_background(rng, size)
        if rng.random() < 0.5:
            cell = int(rng.integers(16, 96))
            pattern = np.tile(pattern[:cell, :cell], (size // cell + 1,) * 2 + (1,))[:size, :size]
        cloth = cloth + (pattern.astype(np.float32) - pattern.mean()) * rng.uniform(0.2, 1.0)
    cloth = cloth + cv2.GaussianBlur(rng.normal(0, 60, (size, size)), (0, 0), rng.uniform(1.5, 6))[..., None]

    def worn(image: np.ndarray) -> np.ndarray:
        return np.clip(np.rint(image + (cloth - image) * cover), 0, 255).astype(np.uint8)

    # What shines through at the outline stays as it is.
    person = picture.alpha[..., None] / np.float32(255)
    image = picture.image + (worn(picture.foreground) - picture.foreground.astype(np.float32)) * person
    return replace(
        picture,
        image=np.clip(np.rint(image), 0, 255).astype(np.uint8),
        foreground=worn(picture.foreground),
        labels=np.where(covered > 0, np.uint8(CLASSES.index("headwear")), picture.labels),
    )
