"""Turned squares of a photo as the face models see them, and back.

As MediaPipe's ImageToTensorCalculator cuts them: places are continuous, but pixel (0, 0) of a photo and of a cut have
their values at their corners, not at their middles.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class Roi:
    """A turned square of a photo.

    Attributes:
        centre: (2,) pixels.
        side: pixels.
        rotation: radians, clockwise as seen: x to y.
    """

    centre: np.ndarray
    side: float
    rotation: float

    @classmethod
    def along(cls, box: np.ndarray, first: np.ndarray, second: np.ndarray, scale: float) -> Roi:
        """About a box (x0, y0, x1, y1), `scale` times its longer side, turned so that two points lie level in it."""
        across = second - first
        side = float((box[2:] - box[:2]).max()) * scale
        return cls((box[:2] + box[2:]) / 2, side, float(np.arctan2(across[1], across[0])))

    def to_photo(self, size: int) -> np.ndarray:
        """(2, 3): pixels of a cut of so many pixels to pixels of the photo."""
        c, s = np.cos(self.rotation), np.sin(self.rotation)
        turn = np.array([[c, -s], [s, c]]) * self.side / size
        return np.c_[turn, self.centre - turn @ [size / 2, size / 2]]

    def cut(self, photo: np.ndarray, size: int, border: int = cv2.BORDER_REPLICATE) -> np.ndarray:
        """The square (size, size, 3) uint8 of a photo (H, W, 3) uint8."""
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        matrix = np.vstack([self.to_photo(size), [0, 0, 1]])
        return cv2.warpPerspective(photo, matrix, (size, size), flags=flags, borderMode=border)
