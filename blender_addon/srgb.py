"""Display colours to light and back (IEC 61966-2-1)."""

from __future__ import annotations

import numpy as np

_LEVELS = np.arange(256, dtype=np.float32) / 255
TO_LINEAR = np.where(_LEVELS <= 0.04045, _LEVELS / 12.92, ((_LEVELS + 0.055) / 1.055) ** 2.4).astype(np.float32)
"""sRGB byte to linear float."""


def encoded(linear: np.ndarray) -> np.ndarray:
    """Linear float to sRGB float in [0, 1]."""
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
