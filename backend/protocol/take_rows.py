"""Rows of a take put together: what is missing is filled in and marked, and what was bad is said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

import numpy as np

from backend.protocol import limits
from backend.protocol.arkit import ACTIONS, gaze_of
from backend.protocol.performance import BOUNDS, Header, Performance

RATES = tuple(Fraction(n) for n in (24, 25, 30, 48, 50, 60, 100, 120)) + tuple(
    Fraction(1000 * n, 1001) for n in (24, 30, 48, 60, 120)
)
"""Frames per second that cameras have."""
MOST_SAID = 10
"""Bad places that are named one by one."""


def put_together(
    source: str,
    times: np.ndarray,
    actions: Mapping[str, np.ndarray],
    head: np.ndarray | None = None,
    translation: np.ndarray | None = None,
    gaze: np.ndarray | None = None,
    rate: Fraction | None = None,
    bad: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> Performance:
    """Make a performance; a value that is nan was not there and is filled in from its neighbours.

    Args:
        source: the file's name.
        times: (N,) seconds.
        actions: (N,) values by ARKit's names.
        head, translation: (N, 3), or None.
        gaze: (N, 2, 3); by default what the eyeLook actions say.
        rate: frames per second; by default what the times say.
        bad: sentences about places that could not be read.
        notes: others about the file.

    Raises:
        ValueError: nothing is left.
    """
    notes = [*said_of(bad), *notes]
    if not len(times):
        raise ValueError(bad[0] if bad else "it has no frames")
    later = np.concatenate([[True], times[1:] > np.maximum.accumulate(times)[:-1]])
    if not later.all():
        notes.append(f"{int((~later).sum())} frames are not later than the ones before and are left out.")
    number = len(times)
    columns = {
        "expression": np.stack([np.asarray(actions.get(name, np.zeros(number)), float) for name in ACTIONS], 1),
        "head": np.zeros((number, 3)) if head is None else head,
        "translation": np.zeros((number, 3)) if translation is None else translation,
        "gaze": gaze_of(actions) if gaze is None else gaze,
    }
    # Eyes are turned by the gaze alone, or they would turn twice.
    columns["expression"][:, [name.startswith("eyeLook") for name in ACTIONS]] = 0
    times = times[later] - times[later][0]
    columns = {name: values[later].reshape(len(times), -1) for name, values in columns.items()}
    seen = np.isfinite(np.concatenate(list(columns.values()), 1)).all(1)
    beyond = _beyond(columns)
    notes.extend(said_of(list(beyond.values())))
    seen[list(beyond)] = False
    if not seen.any():
        raise ValueError([*bad, *beyond.values(), "no frame has values"][0])
    if not seen.all():
        notes.append(f"{int((~seen).sum())} frames without values are filled in from their neighbours.")
        columns = {
            name: np.stack([np.interp(times, times[seen], column) for column in values[seen].T], 1)
            for name, values in columns.items()
        }
    rate = rate or rate_of(times)
    made = Performance(
        Header((rate.numerator, rate.denominator), source[-limits.MAX_KEY_LENGTH :], notes=tuple(notes)),
        times,
        columns["head"],
        columns["translation"],
        columns["expression"],
        columns["gaze"].reshape(-1, 2, 3),
        seen.astype(float),
        np.zeros(len(times), bool),
    )
    if problem := made.problem():
        raise ValueError(problem)
    return made


def _beyond(columns: Mapping[str, np.ndarray]) -> dict[int, str]:
    """Of each frame that has a value which no head can have, a sentence that says so."""
    return {
        frame: f"Frame {frame}: its {name} goes beyond ±{BOUNDS[name]:g}; it is filled in."
        for name, values in columns.items()
        for frame in np.flatnonzero((np.abs(values) > BOUNDS[name]).any(1)).tolist()
    }


def rate_of(times: np.ndarray) -> Fraction:
    """The camera's rate that is nearest to the usual step between times (N,), seconds."""
    if len(times) < 2:
        return Fraction(30)
    step = float(np.median(np.diff(times)))
    nearest = min(RATES, key=lambda rate: abs(np.log(step * float(rate))))
    if abs(step * float(nearest) - 1) < 0.02:
        return nearest
    return Fraction(1 / np.clip(step, 1 / limits.MAX_FRAME_RATE, 1)).limit_denominator(1001)


def said_of(bad: Sequence[str]) -> list[str]:
    """Sentences about bad places, the first few one by one."""
    more = len(bad) - MOST_SAID
    return [*bad[:MOST_SAID], *([f"{more} more places like these are left out."] if more > 0 else [])]
