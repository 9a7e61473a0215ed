"""Smooth random fields, and sRGB beside linear light."""

from __future__ import annotations

import numpy as np
from scipy import ndimage


def field_2d(rng: np.random.Generator, shape: tuple[int, int], sigma: float | tuple[float, float]) -> np.ndarray:
    """(H, W) float32 periodic noise of zero mean and unit variance, smooth over `sigma` pixels."""
    field = ndimage.gaussian_filter(rng.standard_normal(shape).astype(np.float32), sigma, mode="wrap")
    return (field - field.mean()) / field.std()


def sample_2d(field: np.ndarray, x: np.ndarray, y: np.ndarray, wrap: bool = False) -> np.ndarray:
    """A 2-d image (H, W) or (H, W, C) at pixel places (N,): (N,) or (N, C)."""
    mode = "grid-wrap" if wrap else "nearest"
    if field.ndim == 2:
        return ndimage.map_coordinates(field, [y, x], order=1, mode=mode)
    channels = (ndimage.map_coordinates(field[..., c], [y, x], order=1, mode=mode) for c in range(field.shape[2]))
    return np.stack(list(channels), -1)


def to_linear(srgb: np.ndarray) -> np.ndarray:
    """sRGB in [0, 1] to linear light (IEC 61966-2-1)."""
    srgb = np.asarray(srgb, np.float32)
    return np.where(srgb <= 0.04045, srgb / 12.92, ((np.maximum(srgb, 0.04045) + 0.055) / 1.055) ** 2.4)


def to_srgb(linear: np.ndarray) -> np.ndarray:
    """Linear light to sRGB in [0, 1], with a soft shoulder over the highlights."""
    x = np.maximum(linear, 0)
    x = np.where(x > 0.7, 0.7 + 0.3 * np.tanh((x - 0.7) / 0.3), x)
    return np.where(x <= 0.0031308, 12.92 * x, 1.055 * np.maximum(x, 0.0031308) ** (1 / 2.4) - 0.055)
