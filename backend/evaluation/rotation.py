"""How the measures fall off with the yaw of a corpus' views: Figure 6, to both sides, and bands."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from backend.evaluation.measures import Tally

YAWS = (-90, -60, -30, 0, 30, 60, 90)
"""Degrees (paper, section 4.3)."""
REACH = 15.0
"""A view counts for a yaw that it is so near to."""
BANDS = (35, 75, 180)
"""Degrees of yaw up to which a view is in a band, and in none before; to either side."""


def nearest_yaw(yaw: float) -> int | None:
    """Which of `YAWS` a view's yaw (degrees) counts for; None beyond them."""
    nearest = min(YAWS, key=lambda place: abs(place - yaw))
    return nearest if abs(nearest - yaw) <= REACH else None


def band_of(yaw: float) -> int:
    """Which of `BANDS` a view's yaw (degrees) is in."""
    return next(band for band in BANDS if abs(yaw) <= band)


def by_yaw(
    views: Iterable[tuple[float, Tally]], place_of: Callable[[float], int | None] = nearest_yaw
) -> dict[int, Tally]:
    """The tallies of single views, each with its yaw (degrees), merged by place; places without views are left out.

    Args:
        place_of: `nearest_yaw` or `band_of`.
    """
    found: dict[int, list[Tally]] = {}
    for yaw, tally in views:
        place = place_of(yaw)
        if place is not None:
            found.setdefault(place, []).append(tally)
    merged = {}
    for place in sorted(found):
        merged[place] = Tally(found[place][0].measures)
        for tally in found[place]:
            merged[place].merge(tally)
    return merged
