"""Smears in a warped portrait: what a photo shows at an outline is stretched over all that it saw steeply.

Real photos have there a dark edge, a rim of another light, a lens' fringe; synthetic ones hardly do. A refiner that has
seen none takes smears before an ear for detail that it may copy. So a sample's warped portrait gains some: the true
views have none.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d

from backend.training.paint_layers import as_bytes

SEEN = 0.5
"""Photo confidence from which on there are none."""
FINEST, COARSEST = 1.0, 5.0
"""Width across, pixels (a Gaussian's sigma)."""
FAINTEST, STRONGEST = 4.0, 40.0
"""Standard deviation, levels of 255."""
STEEPEST = 0.4
"""Slope: an avatar's surfaces are steep to the sides, so its smears are nearly level."""


def add_smears(warped: np.ndarray, confidence: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A warped portrait (H, W, 3) uint8 with smears where it is known and confidence (H, W) in [0, 1] is low."""
    sure = np.flatnonzero((confidence >= SEEN).any(0))
    middle = sure.mean() if len(sure) else warped.shape[1] / 2
    y, x = np.mgrid[: len(warped), : warped.shape[1]].astype(np.float32)
    share = (1 - confidence / SEEN).clip(0, 1) * warped.any(-1)
    changed = warped.astype(np.float32)
    for side in (x < middle, x >= middle):
        rows = np.clip(y + rng.uniform(-STEEPEST, STEEPEST) * (x - middle), 0, len(warped) - 1)
        changed += (share * side)[..., None] * _profile(len(warped), rng)[np.rint(rows).astype(int)]
    return as_bytes(changed)


def _profile(length: int, rng: np.random.Generator) -> np.ndarray:
    """(length, 3): what a side's smears add, along the outline; brightness mostly, and colour."""
    noise = rng.normal(0, 1, (length, 1)) + rng.normal(0, 0.35, (length, 3))
    soft = gaussian_filter1d(noise, FINEST * (COARSEST / FINEST) ** rng.random(), axis=0)
    return soft / max(soft.std(), 1e-6) * FAINTEST * (STRONGEST / FAINTEST) ** rng.random()
