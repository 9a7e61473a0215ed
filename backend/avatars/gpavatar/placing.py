"""A square picture put into its place in a camera's frame."""

from __future__ import annotations

import cv2
import numpy as np


def place(layers: np.ndarray, square: tuple[float, float, float], width: int, height: int) -> np.ndarray:
    """Resample a square picture into a frame; zero outside of it.

    Args:
        layers: (S, S, C) float32, premultiplied where it has an alpha.
        square: (x0, y0, side), pixels of the frame.
        width, height: of the frame.

    Returns:
        (height, width, C) float32.
    """
    x0, y0, side = square
    size = len(layers)
    # Averaged first where it shrinks: interpolation alone would skip pixels.
    smaller = min(size, max(1, int(np.ceil(side))))
    scale = side / smaller
    # OpenCV counts from the middle of the first pixel, and takes at most four channels.
    matrix = np.array([[scale, 0, x0 + 0.5 * scale - 0.5], [0, scale, y0 + 0.5 * scale - 0.5]])
    frame = np.empty((height, width, layers.shape[2]), np.float32)
    for channel in range(layers.shape[2]):
        layer = np.ascontiguousarray(layers[..., channel])
        if smaller < size:
            layer = cv2.resize(layer, (smaller, smaller), interpolation=cv2.INTER_AREA)
        frame[..., channel] = cv2.warpAffine(layer, matrix, (width, height), flags=cv2.INTER_LINEAR)
    return frame
