"""How pictures of a sample are painted over: in layers, the same on all pictures that show the same places."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import cv2
import numpy as np


class PaintLayer(NamedTuple):
    """Paint over a picture.

    Attributes:
        color: (H, W, 3) in 0..255.
        cover: (H, W, 1) in [0, 1], how much of what is beneath it hides.
    """

    color: np.ndarray
    cover: np.ndarray


def overlaid(picture: np.ndarray, layers: Iterable[PaintLayer], share: float = 1.0) -> np.ndarray:
    """A picture (H, W, 3 or 4) uint8, alpha as it was, under layers that cover a share of what they say."""
    color = picture[..., :3].astype(np.float32)
    for layer in layers:
        color = color + share * layer.cover * (layer.color - color)
    return np.concatenate([as_bytes(color), picture[..., 3:]], -1)


def softened(shape: np.ndarray) -> np.ndarray:
    """What is painted, (H, W) or (H, W, C), as float32 with its edges as soft as a picture's are."""
    return cv2.GaussianBlur(shape.astype(np.float32), (0, 0), 0.7)


def as_bytes(color: np.ndarray) -> np.ndarray:
    """Colours in 0..255, rounded, as uint8."""
    return np.clip(np.rint(color), 0, 255).astype(np.uint8)
