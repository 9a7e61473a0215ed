"""Backgrounds: photographs that scikit-image carries and the skies that Blender's package carries, all free to use."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

PHOTOGRAPHS = (
    "brick", "chelsea", "coffee", "color", "grass", "gravel", "hubble_deep_field", "ihc", "motorcycle_left", "retina",
    "rocket",
)  # fmt: skip
"""Of scikit-image, by file name: those that show no person."""
SKY_HEIGHT = 512


@cache
def photographs() -> tuple[np.ndarray, ...]:
    """(H, W, 3) uint8 each, at most 512 pixels high. The skies, as a photo would show them, need the package bpy."""
    import skimage

    folder = Path(skimage.__file__).parent / "data"
    paths = [path for name in PHOTOGRAPHS for path in folder.glob(f"{name}.*")]
    found = [np.asarray(Image.open(path).convert("RGB")) for path in paths]
    return tuple(map(_at_most, (*found, *_skies())))


def draw_background(rng: np.random.Generator, size: int) -> np.ndarray:
    """A background (size, size, 3) uint8: a cut of a photograph at any scale, sharp or blurred, or a smooth wall."""
    if rng.random() < 0.2:
        return _wall(rng, size)
    source = photographs()[rng.integers(len(photographs()))]
    side = min(source.shape[:2]) * rng.uniform(0.2, 1.0)
    x, y = (rng.uniform(0, length - side) for length in source.shape[1::-1])
    cut = source[int(y) : int(y + side) + 1, int(x) : int(x + side) + 1]
    image = cv2.resize(cut, (size, size), interpolation=cv2.INTER_LINEAR)
    if rng.random() < 0.5:
        image = image[:, ::-1]
    if rng.random() < 0.5:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.5, 10) * size / 256)
    # Any photograph in any light and tint: there are few of them.
    gain = rng.uniform(0.4, 1.6) * rng.uniform(0.75, 1.25, 3)
    image = np.clip(image * gain + rng.uniform(-40, 40), 0, 255)
    return image.astype(np.uint8)


def _wall(rng: np.random.Generator, size: int) -> np.ndarray:
    corners = rng.uniform(0, 255, 3) + rng.normal(0, 40, (2, 2, 3))
    wall = cv2.resize(corners.astype(np.float32), (size, size), interpolation=cv2.INTER_LINEAR)
    return np.clip(wall + rng.normal(0, rng.uniform(0, 6), wall.shape), 0, 255).astype(np.uint8)


def _skies() -> list[np.ndarray]:
    spec = importlib.util.find_spec("bpy")
    if spec is None or spec.origin is None:
        return []
    import OpenEXR

    skies = []
    for path in sorted(Path(spec.origin).parent.glob("*/datafiles/studiolights/world/*.exr")):
        with OpenEXR.File(str(path)) as file:
            pixels = next(iter(file.channels().values())).pixels[..., :3].astype(np.float32)
        exposed = pixels / max(float(np.percentile(pixels, 90)), 1e-6)
        skies.append(np.rint(255 * np.clip(exposed, 0, 1) ** (1 / 2.2)).astype(np.uint8))
    return skies


def _at_most(image: np.ndarray) -> np.ndarray:
    scale = SKY_HEIGHT / image.shape[0]
    if scale >= 1:
        return image
    return cv2.resize(image, (round(image.shape[1] * scale), SKY_HEIGHT), interpolation=cv2.INTER_AREA)
