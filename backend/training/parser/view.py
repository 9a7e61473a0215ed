"""Regions as colours, to look at."""

from __future__ import annotations

import numpy as np

COLORS = np.array([[0, 0, 0], [240, 170, 140], [200, 30, 40], [190, 60, 200], [40, 90, 220], [250, 220, 40]], np.uint8)
"""Of background, skin, hair, headwear, clothing, eyewear."""
OTHER = np.array([110, 110, 110], np.uint8)
"""Of what is not known."""


def class_colors(labels: np.ndarray) -> np.ndarray:
    """Class indices (...) as colours (..., 3) uint8."""
    table = np.tile(OTHER, (256, 1))
    table[: len(COLORS)] = COLORS
    return table[labels.astype(np.uint8)]
