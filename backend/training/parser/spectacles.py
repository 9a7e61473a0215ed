"""Painted spectacles: most photos at hand show none, and real faces wear them."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from backend.people.parsing.pictures import LabelledPicture
from backend.tracking.parser import CLASSES

RIGHT_EYE, LEFT_EYE = (33, 133), (263, 362)
"""mediapipe's outer and inner corners."""
RIGHT_TEMPLE, LEFT_TEMPLE = 127, 356
WHITE = (255,)
FINE = 4
"""Painted so many times larger, then averaged."""


def _pixel(point: np.ndarray) -> tuple[int, int]:
    return int(point[0]), int(point[1])


def put_on_spectacles(picture: LabelledPicture, rng: np.random.Generator) -> LabelledPicture:
    """The picture with frames, lenses, bridge and temples before the eyes, in image, foreground and labels."""
    size = len(picture.image)
    points = picture.landmarks * FINE
    eyes = [points[list(corners)].mean(0) for corners in (RIGHT_EYE, LEFT_EYE)]
    across = eyes[1] - eyes[0]
    distance, tilt = float(np.hypot(*across)), float(np.degrees(np.arctan2(across[1], across[0])))
    half = distance * np.array([rng.uniform(0.36, 0.46), rng.uniform(0.26, 0.42)])
    drop = rng.uniform(0.0, 0.12) * distance
    thickness = max(1, round(distance * rng.choice([0.02, 0.04, 0.08])))
    power = rng.choice([2.0, 2.6, 4.0])
    frame, lenses = np.zeros((2, size * FINE, size * FINE), np.uint8)
    outlines = []
    for eye in eyes:
        outline = _lens_outline(eye + np.array([0, drop]), half, tilt, power)
        outlines.append(outline)
        cv2.fillPoly(lenses, [outline], WHITE)
    density = rng.choice([0.05, 0.15, 0.6, 0.9], p=[0.5, 0.25, 0.15, 0.1])
    # Clear lenses without a rim nobody could see.
    if density < 0.5 or rng.random() < 0.5:
        cv2.polylines(frame, outlines, True, WHITE, thickness)
    inner = half[0] * across / distance
    bridge = [eyes[0] + inner + [0, drop * 0.5], eyes[1] - inner + [0, drop * 0.5]]
    cv2.line(frame, _pixel(bridge[0]), _pixel(bridge[1]), WHITE, thickness)
    for eye, temple, sign in ((eyes[0], RIGHT_TEMPLE, -1), (eyes[1], LEFT_TEMPLE, 1)):
        start = eye + sign * inner + [0, drop * 0.5]
        cv2.line(frame, _pixel(start), _pixel(points[temple]), WHITE, thickness)
    frame, lenses = (cv2.resize(x, (size, size), interpolation=cv2.INTER_AREA) / 255 for x in (frame, lenses))
    colors = rng.uniform(0, 90, 3) if rng.random() < 0.6 else rng.uniform(0, 255, 3)
    tint = 255 * np.array([rng.uniform(0, 0.6), rng.uniform(0, 0.6), rng.uniform(0, 0.6)])
    glare = _glare(rng, size) * rng.uniform(0, 90)

    def worn(image: np.ndarray) -> np.ndarray:
        behind = image * (1 - density) + tint * density + glare[..., None]
        seen = image + (behind - image) * lenses[..., None]
        seen = seen + (colors - seen) * frame[..., None]
        return np.clip(np.rint(seen), 0, 255).astype(np.uint8)

    covered = np.maximum(frame, lenses) > 0.5
    return replace(
        picture,
        image=worn(picture.image),
        foreground=worn(picture.foreground),
        labels=np.where(covered & (picture.alpha > 127), np.uint8(CLASSES.index("eyewear")), picture.labels),
    )


def _lens_outline(centre: np.ndarray, half: np.ndarray, tilt: float, power: float) -> np.ndarray:
    """A superellipse, (N, 2) int32."""
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    x, y = (np.sign(f(angle)) * np.abs(f(angle)) ** (2 / power) for f in (np.cos, np.sin))
    turn = np.radians(tilt)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return np.rint(centre + np.c_[x, y] * half @ rotation.T).astype(np.int32)


def _glare(rng: np.random.Generator, size: int) -> np.ndarray:
    """(S, S) in [0, 1]: soft stripes of a window's light."""
    y, x = np.mgrid[:size, :size] / size
    angle, wide = rng.uniform(0, np.pi), rng.uniform(8, 25)
    return np.clip(np.sin((x * np.cos(angle) + y * np.sin(angle)) * wide + rng.uniform(0, 6)), 0, 1)
