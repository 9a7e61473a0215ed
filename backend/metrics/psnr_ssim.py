"""Picture metrics inside a mask."""

from __future__ import annotations

import numpy as np
from skimage.metrics import structural_similarity

PEAK = 255.0


def squared_error(a: np.ndarray, b: np.ndarray, mask: np.ndarray) -> tuple[float, int]:
    """Sum of squared differences over channels, and the number of values, of images (H, W, 3) inside (H, W) bool."""
    difference = a[mask].astype(np.float64) - b[mask]
    return float((difference**2).sum()), difference.size


def psnr(a: np.ndarray, b: np.ndarray, mask: np.ndarray) -> float:
    """Peak signal-to-noise ratio of two images (H, W, 3) in [0, 255] inside a mask (H, W) bool, dB.

    Infinite where the images agree; nan for an empty mask.
    """
    total, count = squared_error(a, b, mask)
    return psnr_of(total, count)


def psnr_of(total: float, count: int) -> float:
    """PSNR, dB, from a sum of squared errors and a number of values (so that errors can be pooled over images)."""
    if count == 0:
        return float("nan")
    return float("inf") if total == 0 else float(10 * np.log10(PEAK**2 * count / total))


def ssim_map(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Structural similarity per pixel (Wang et al. 2004), (H, W), of two images (H, W, 3) in [0, 255]."""
    _, values = structural_similarity(
        a.astype(np.float64), b.astype(np.float64), channel_axis=2, data_range=PEAK, full=True
    )
    return values.mean(2)
