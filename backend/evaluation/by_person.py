"""Gains of single people: a figure pooled over all pixels can be one person's, and says nothing of how sure it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from backend.evaluation.measures import HIGHER_IS_BETTER

MEASURES = ("PSNR", "SSIM", "FLIP", "ID")
Tables = Mapping[str, Mapping[str, Mapping[str, float]]]
"""region -> method -> measure -> value, see `Tally.table`."""


def gains_by_person(
    people: Sequence[Tables], method: str, other: str, regions: Sequence[str]
) -> dict[str, dict[str, dict[str, float]]]:
    """By how much a method is better than another, over people.

    Args:
        people: a table each, at least one.
        regions: those that are compared.

    Returns:
        region -> measure -> "mean" (positive is better, FLIP too), "error" (the mean's standard error), "better" (how
        many people gain) and "people" (how many have both figures; left out where fewer than two have).
    """
    found: dict[str, dict[str, dict[str, float]]] = {}
    for region in regions:
        for measure in MEASURES:
            ours, theirs = (_figures(people, region, name, measure) for name in (method, other))
            both = np.isfinite(ours) & np.isfinite(theirs)
            gains = (ours[both] - theirs[both]) * (1 if measure in HIGHER_IS_BETTER else -1)
            if len(gains) < 2:
                continue
            found.setdefault(region, {})[measure] = {
                "mean": float(gains.mean()),
                "error": float(gains.std(ddof=1) / np.sqrt(len(gains))),
                "better": int((gains > 0).sum()),
                "people": len(gains),
            }
    return found


def _figures(people: Sequence[Tables], region: str, method: str, measure: str) -> np.ndarray:
    """(n,), not a number where somebody has none."""
    return np.array([person[region].get(method, {}).get(measure, np.nan) for person in people])
