"""Figure 6: how the measures fall off to both sides, on the views of a corpus sorted by their yaw."""

from __future__ import annotations

from collections.abc import Iterable

from backend.evaluation.measures import Tally

YAWS = (-90, -60, -30, 0, 30, 60, 90)
"""Degrees (paper, section 4.3)."""
REACH = 15.0
"""A view counts for a yaw that it is so near to."""


def nearest_yaw(yaw: float) -> int | None:
    """Which of `YAWS` a view's yaw (degrees) counts for; None beyond them."""
    nearest = min(YAWS, key=lambda place: abs(place - yaw))
    return nearest if abs(nearest - yaw) <= REACH else None


def by_yaw(views: Iterable[tuple[float, Tally]]) -> dict[int, Tally]:
    """The tallies of single views, each with its yaw (degrees), merged by `YAWS`; those without views are left out."""
    found: dict[int, list[Tally]] = {}
    for yaw, tally in views:
        place = nearest_yaw(yaw)
        if place is not None:
            found.setdefault(place, []).append(tally)
    merged = {}
    for place in sorted(found):
        merged[place] = Tally(found[place][0].measures)
        for tally in found[place]:
            merged[place].merge(tally)
    return merged
