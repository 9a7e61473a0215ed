"""Curves with keys only where they are needed."""

from __future__ import annotations

import numpy as np


def slopes(values: np.ndarray) -> np.ndarray:
    """What values (N, C) change by per frame, at each."""
    return np.gradient(values, axis=0) if len(values) > 1 else np.zeros_like(values)


def through(keys: np.ndarray, values: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """The curve (N, C) through keys at rows (K,), the first and the last among them: cubics with their slopes (N, C).

    Bezier curves whose handles reach a third of the way along the slopes are these (Hermite's).
    """
    rows = np.arange(len(values))
    span = np.clip(np.searchsorted(keys, rows, side="right") - 1, 0, len(keys) - 2)
    first, last = keys[span], keys[span + 1]
    length = (last - first)[:, None]
    t = (rows - first)[:, None] / length
    return (
        (1 + 2 * t) * (1 - t) ** 2 * values[first]
        + t * (1 - t) ** 2 * length * slope[first]
        + t**2 * (3 - 2 * t) * values[last]
        + t**2 * (t - 1) * length * slope[last]
    )


def needed_keys(values: np.ndarray, tolerance: float) -> np.ndarray:
    """The rows whose keys are enough: the curve through them misses no value by more than the tolerance.

    Between each two keys the row that is missed most becomes one, until none is missed (as Douglas and Peucker 1973 do
    with lines).

    Args:
        values: (N, C), a value per frame; channels get their keys together.
        tolerance: in the values' unit.

    Returns:
        (K,) rows in order, the first and, where any differs from it, the last.
    """
    if np.abs(values - values[0]).max(initial=0.0) <= tolerance:
        return np.array([0])
    slope = slopes(values)
    keys = np.array([0, len(values) - 1])
    while True:
        missed = np.abs(values - through(keys, values, slope)).max(1)
        missed[keys] = 0.0
        worst = np.maximum.reduceat(missed, keys[:-1])
        span = np.clip(np.searchsorted(keys, np.arange(len(values)), side="right") - 1, 0, len(keys) - 2)
        chosen = np.flatnonzero((missed == worst[span]) & (missed > tolerance))
        if not len(chosen):
            return keys
        # Of several that are missed equally the first.
        chosen = chosen[np.unique(span[chosen], return_index=True)[1]]
        keys = np.union1d(keys, chosen)
