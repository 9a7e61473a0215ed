"""How pictures of a sample are painted over."""

from __future__ import annotations

import cv2
import numpy as np


def softened(shape: np.ndarray) -> np.ndarray:
    """What is painted, (H, W) or (H, W, C), as float32 with its edges as soft as a picture's are."""
    return cv2.GaussianBlur(shape.astype(np.float32), (0, 0), 0.7)


def as_bytes(color: np.ndarray) -> np.ndarray:
    """Colours in 0..255, rounded, as uint8."""
    return np.clip(np.rint(color), 0, 255).astype(np.uint8)


def recolored(picture: np.ndarray, color: np.ndarray) -> np.ndarray:
    """A picture (H, W, 3 or 4) uint8 in other colours (H, W, 3), alpha as it was."""
    return np.concatenate([as_bytes(color), picture[..., 3:]], -1)
