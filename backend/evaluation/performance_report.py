"""Tracked performances as a table: what is asked, what was measured of each person, and whether that reaches it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from backend.evaluation.performance import ACTIONS
from backend.evaluation.tables_report import Table


class _Row(NamedTuple):
    """A figure that is shown: how to find it in a person's, how it is written, and what is asked of it."""

    title: str
    value: Callable[[Mapping], float]
    form: str
    asked: str = ""
    reaches: Callable[[float], bool] | None = None


def performance_table(report: Mapping) -> Table:
    """The figures of `turboportrait evaluate performance`, a column per person.

    Raises:
        KeyError: the report is of another version.
    """
    people = report["people"]
    rows = []
    for row in _rows():
        values = [row.value(person) for person in people.values()]
        shown = [row.form.format(value) for value in values]
        # As they are shown: a page must not say "no" beside the very figure that is asked.
        reached = [row.reaches(round(value, _digits(row.form))) for value in values] if row.reaches else []
        rows.append([row.title, row.asked, *shown, f"{sum(reached)} of {len(reached)}" if reached else ""])
    title = f"{report['frames']} frames played by each avatar, tracked"
    return Table("performances", title, ["", "asked", *people, "reached"], rows)


def _rows() -> Iterator[_Row]:
    yield _most("head rotation, median", "head_median", 2, "{:.1f}°")
    yield _most("head rotation, 95 % of the frames within", "head_95", 5, "{:.1f}°")
    yield _most("gaze of open eyes, median", "gaze_median", 5, "{:.1f}°")
    for name in ACTIONS:
        yield _Row(f"correlation of {name}", _correlation(name), "{:.2f}", "0.90", lambda value: value >= 0.9)
    yield _Row("lag", lambda person: person["lag"], "{:.0f} frames", "0 frames", lambda value: value == 0)
    yield _most("jitter of a still head", "jitter", 0.3, "{:.2f}°")
    yield _Row("frames lost", lambda person: person["lost"], "{:.0f}")
    yield _most("time of a frame over that of its landmarks' network", "cost", 2.5, "{:.1f}")
    yield _Row("frames a second (20 are an aim)", lambda person: person["per_second"], "{:.0f}")


def _correlation(name: str) -> Callable[[Mapping], float]:
    return lambda person: person["correlation"][name]


def _most(title: str, name: str, most: float, form: str) -> _Row:
    asked = f"{most:g}{form.rpartition('}')[2]}"
    return _Row(title, lambda person: person[name], form, asked, lambda value: value <= most)


def _digits(form: str) -> int:
    return int(form[form.index(".") + 1])
