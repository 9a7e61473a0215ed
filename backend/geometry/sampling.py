"""Pictures looked up between their pixels."""

from __future__ import annotations

import cv2
import numpy as np


def between_centres(matrix: np.ndarray) -> np.ndarray:
    """A map (2, 3) of pixels whose centres are at .5, for OpenCV, where they are at integers."""
    moved = matrix.copy()
    moved[:, 2] += 0.5 * matrix[:, :2].sum(1) - 0.5
    return moved


def sample(image: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Bilinear values (..., C) of an image (H, W) or (H, W, C) at continuous pixels (..., 2); edges repeated."""
    x, y = np.moveaxis(pixels.astype(np.float32) - 0.5, -1, 0)
    shape = x.shape
    flat = (x.reshape(-1), y.reshape(-1))
    # OpenCV takes no side of 32768 or more.
    width = 1 << 14
    count = len(flat[0])
    padded = -count % width
    grid = [np.pad(a, (0, padded)).reshape(-1, width) for a in flat]
    source = image.astype(np.float32) if image.dtype != np.float32 else image
    values = cv2.remap(source, grid[0], grid[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    values = values.reshape(-1, *image.shape[2:])[:count]
    return values.reshape(*shape, *image.shape[2:])


def sample_bicubic(image: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Bicubic values of an image (H, W, C) at continuous pixels (h, w, 2), sides below 32768; edges repeated."""
    x, y = (np.ascontiguousarray(pixels[..., i] - 0.5, np.float32) for i in (0, 1))
    return cv2.remap(image, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
