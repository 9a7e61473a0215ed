"""A video as a performance: every picture's landmarks, then one identity, then a fit per picture, then smoothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np

from backend.protocol import limits
from backend.protocol.arkit import ACTIONS, region_of
from backend.protocol.errors import TurboPortraitError
from backend.protocol.performance import Header, Performance
from backend.protocol.retargeting import conformed
from backend.tracking.clips.actor import Actor, FrameFit
from backend.tracking.clips.following import FaceFollower, Found, upright
from backend.tracking.clips.frames import VideoFrames
from backend.tracking.clips.smoothing import smoothed
from backend.tracking.embedding import with_landmarks
from flame import HeadModel
from flame.rotations import axis_angle_to_matrix, matrix_to_axis_angle

SECONDS = {"head": 0.055, "mouth": 0.035, "brows": 0.05, "lids": 0.02, "gaze": 0.05}
"""Over how long noise is averaged out: a blink is over in a tenth of a second, a nod takes several."""
MOST_GAPS = 20
"""Gaps and cuts that the notes name one by one."""
FITTING = 0.25
"""Share of the time that fits and smoothing take beside the landmarks, for the progress."""


@dataclass(frozen=True)
class Settings:
    """How a clip is tracked.

    Attributes:
        face: of several faces the one counted from 1 at the left; 0 for the largest.
        neutral: seconds into the clip at which the face is at rest; None for its first picture.
        rate: frames per second of the performance; None for the video's own.
        smoothing: factor on the usual smoothing; 0 for none.
    """

    face: int = 0
    neutral: float | None = None
    rate: Fraction | None = None
    smoothing: float = 1.0


@dataclass
class Costs:
    """Seconds that tracking took, in all: of the pictures, their landmarks' network, and everything."""

    pictures: int = 0
    network_calls: int = 0
    network: float = 0.0
    reading: float = 0.0
    whole: float = 0.0


@dataclass
class _Seen:
    """What the first pass found: the time of each picture, what it shows, and which of them begin a shot."""

    times: list[float] = field(default_factory=list)
    found: list[Found] = field(default_factory=list)

    @property
    def cuts(self) -> list[bool]:
        return [found.cut for found in self.found]


class _Neutral(NamedTuple):
    """The picture that the actor's face is fitted to, by its number, with its `Found`."""

    number: int
    picture: np.ndarray
    landmarks: np.ndarray
    openings: np.ndarray | None


def track_clip(
    path: str | Path,
    model: HeadModel,
    settings: Settings | None = None,
    progress: Callable[[float, str], None] = lambda fraction, stage: None,
    costs: Costs | None = None,
) -> Performance:
    """Track the face of a video.

    Args:
        path: of a video file.
        model: with ARKit's 52 actions.
        settings: see there.
        progress: called with a fraction in [0, 1] and what is done; may raise to stop.
        costs: to be filled in.

    Raises:
        TurboPortraitError: bad_video, no_face_in_video.
        TrackingError: no_such_face and the like, where every picture with a face is refused for one reason.
    """
    settings, costs = settings or Settings(), costs or Costs()
    started = time.perf_counter()
    follower = FaceFollower(settings.face)
    model = with_landmarks(model)
    with VideoFrames(path) as frames:
        seen, neutral = _look(frames, follower, settings, progress, costs)
        if neutral is None:
            refusal = follower.refusal
            if refusal is not None and refusal.code not in ("no_face", "face_hidden"):
                raise refusal
            raise TurboPortraitError("no_face_in_video", f"{frames.name}: {len(seen.times)} pictures were searched")
        actor = Actor(neutral.picture, neutral.landmarks, model, neutral.openings)
        fits = list(_fits(actor, seen, lambda share: progress(1 - FITTING + FITTING * share, "fitting")))
        notes = [*frames.notes, *(sentence for _, sentence in follower.warnings), *_gaps(seen, fits)]
        made = _performance(seen, fits, actor, model, neutral.number, settings.smoothing, frames.rate, frames.name)
    if settings.rate or _varies(made.time, frames.rate):
        made = conformed(made, settings.rate or frames.rate)
    costs.network, costs.network_calls = follower.network_seconds, follower.network_calls
    costs.pictures, costs.whole = len(seen.times), time.perf_counter() - started
    progress(1.0, "done")
    return made.noted(*notes)


def _look(
    frames: VideoFrames,
    follower: FaceFollower,
    settings: Settings,
    progress: Callable[[float, str], None],
    costs: Costs,
) -> tuple[_Seen, _Neutral | None]:
    """The first pass, and its neutral picture; None where no picture shows the face."""
    seen = _Seen()
    neutral: _Neutral | None = None
    pictures: Iterator[tuple[float, np.ndarray]] = iter(frames)
    while True:
        reading = time.perf_counter()
        entry = next(pictures, None)
        costs.reading += time.perf_counter() - reading
        if entry is None:
            return seen, neutral
        seconds, image = entry
        found = follower.follow(image, seconds)
        if found.landmarks is not None and (
            neutral is None
            or (
                settings.neutral is not None
                and abs(seconds - settings.neutral) < abs(seen.times[neutral.number] - settings.neutral)
            )
        ):
            picture = upright(image, follower.turns)
            neutral = _Neutral(len(seen.times), picture, found.landmarks, found.openings)
        seen.times.append(seconds)
        seen.found.append(found)
        progress((1 - FITTING) * min(len(seen.times) / max(frames.count, 1), 1), "finding landmarks")


def _fits(actor: Actor, seen: _Seen, progress: Callable[[float], None]) -> Iterator[FrameFit | None]:
    before = None
    for number, found in enumerate(seen.found):
        start = None if found.cut else before
        before = None if found.landmarks is None else actor.fit(found.landmarks, start, found.openings)
        if before is not None and before.confidence == 0:
            # Not this face, or none.
            before = None
        progress((number + 1) / len(seen.times))
        yield before


def _performance(
    seen: _Seen,
    fits: list[FrameFit | None],
    actor: Actor,
    model: HeadModel,
    neutral: int,
    smoothing: float,
    rate: Fraction,
    source: str,
) -> Performance:
    """Fits as a performance: smoothed within each shot, gaps filled and marked."""
    count = len(fits)
    times, cuts = np.array(seen.times), np.array(seen.cuts)
    trust = np.array([0.0 if fit is None else fit.confidence for fit in fits])
    fit_of_neutral = fits[neutral]
    about = np.eye(3) if fit_of_neutral is None else fit_of_neutral.head
    columns = {
        "head": np.zeros((count, 6)),
        "gaze": np.zeros((count, 2)),
        "expression": np.zeros((count, len(ACTIONS))),
    }
    order = [model.expression_names.index(action) for action in ACTIONS]
    looks = np.zeros(count)
    for row, fit in enumerate(fits):
        if fit is not None:
            columns["head"][row] = actor.motion(fit, about)
            columns["gaze"][row], looks[row] = fit.gaze, fit.gaze_seen
            columns["expression"][row] = fit.expression[order]
    shots = np.cumsum(cuts)
    regions = np.array([region_of(action) for action in ACTIONS])
    groups = [("head", columns["head"], np.arange(6), trust), ("gaze", columns["gaze"], np.arange(2), trust * looks)]
    groups += [
        (name, columns["expression"], np.flatnonzero(regions == name), trust) for name in ("brows", "lids", "mouth")
    ]
    for region, values, channels, worth in groups:
        for shot in np.unique(shots):
            rows = np.flatnonzero(shots == shot)
            if worth[rows].any():
                block = np.ix_(rows, channels)
                values[block] = smoothed(times[rows], values[block], worth[rows], smoothing * SECONDS[region])
        _hold(values, channels, np.isin(shots, np.unique(shots[worth > 0])))
    return Performance(
        Header((rate.numerator, rate.denominator), source[-limits.MAX_KEY_LENGTH :], neutral),
        times,
        matrix_to_axis_angle(about @ axis_angle_to_matrix(columns["head"][:, :3])),
        columns["head"][:, 3:],
        np.clip(columns["expression"], 0, 1),
        np.repeat(np.pad(columns["gaze"], ((0, 0), (0, 1)))[:, None], 2, 1),
        trust,
        cuts,
    )


def _hold(values: np.ndarray, channels: np.ndarray, known: np.ndarray) -> None:
    """A shot that shows no face keeps what the one before ended with, the first what the next begins with."""
    rows = np.maximum.accumulate(np.where(known, np.arange(len(known)), -1))
    values[:, channels] = values[np.ix_(np.where(rows < 0, int(np.argmax(known)), rows), channels)]


def _gaps(seen: _Seen, fits: list[FrameFit | None]) -> list[str]:
    """Sentences on where the face was not seen, and on cuts."""
    lost = np.array([fit is None for fit in fits])
    edges = np.flatnonzero(np.diff(np.r_[False, lost, False].astype(int)))
    spans = [(int(a), int(b) - 1) for a, b in zip(edges[::2], edges[1::2], strict=True)]
    said = [f"The face is not seen in frames {a} to {b} (second {seen.times[a]:.2f} on); they are filled in."
            for a, b in spans[:MOST_GAPS]]  # fmt: skip
    if len(spans) > MOST_GAPS:
        said.append(f"So are {len(spans) - MOST_GAPS} more gaps.")
    if cuts := np.flatnonzero(seen.cuts)[:MOST_GAPS].tolist():
        said.append(f"There are {sum(seen.cuts)} cuts; the first begin at frames {', '.join(map(str, cuts))}.")
    return said


def _varies(times: np.ndarray, rate: Fraction) -> bool:
    """The times are not those of a constant rate, to a tenth of a frame."""
    return bool((np.abs(times * float(rate) - np.arange(len(times))) > 0.1).any())
