"""Comparing a picture with another of the same surface, warped onto it."""

from __future__ import annotations

import cv2
import numpy as np

from backend.avatars.base import RenderedView
from backend.geometry.sampling import sample_bicubic

MARGIN = 3
"""Pixels at outlines that are left out: there a pixel shows two things."""


def solid(view: RenderedView) -> np.ndarray:
    """(S, S) bool: the head's pixels but for its outlines."""
    opaque = (view.rgba[..., 3] == 255).astype(np.uint8)
    return cv2.erode(opaque, np.ones((2 * MARGIN + 1,) * 2, np.uint8)) > 0


def comparable(pixels: np.ndarray, seen: np.ndarray, inside: np.ndarray, inside_before: np.ndarray) -> np.ndarray:
    """(S, S) bool: what lies inside both pictures; `pixels` (S, S, 2) and `seen` as `posing.pixels_before` has them."""
    return inside & seen & (sample_bicubic(inside_before.astype(np.float32), pixels) > 0.99)


def change(image: np.ndarray, before: np.ndarray, pixels: np.ndarray, known: np.ndarray) -> float:
    """The mean difference of a picture (S, S, 3) and the one before, warped onto it, where a mask (S, S) says."""
    warped = sample_bicubic(before.astype(np.float32), pixels)
    return float(np.abs(image[known] - warped[known]).mean())
