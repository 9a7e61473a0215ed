"""The cubic that shading languages call smoothstep."""

from __future__ import annotations

import numpy as np


def smoothstep(values: np.ndarray | float, low: float = 0.0, high: float = 1.0) -> np.ndarray:
    """0 below `low`, 1 above `high`, a cubic between; `low` may be the greater one."""
    t = np.clip((values - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)
