"""Performances for tests."""

import numpy as np

from backend.protocol.arkit import ACTIONS
from backend.protocol.performance import Header, Performance


def performance(frames: int = 8, rate: tuple[int, int] = (30, 1), neutral: int = -1, seed: int = 0) -> Performance:
    """A head that does something different in each frame, with the decimals that files have."""
    rng = np.random.default_rng(seed)
    values = {
        "head": rng.uniform(-0.6, 0.6, (frames, 3)),
        "translation": rng.uniform(-0.1, 0.1, (frames, 3)),
        "expression": rng.uniform(0, 1, (frames, len(ACTIONS))),
        "gaze": rng.uniform(-0.3, 0.3, (frames, 2, 3)),
        "confidence": rng.uniform(0, 1, frames),
    }
    time = np.arange(frames) * rate[1] / rate[0]
    return Performance(
        Header(rate, "made up", neutral),
        np.round(time, 6),
        **{name: np.round(each, 6) for name, each in values.items()},
        cut=np.zeros(frames, bool),
    )
