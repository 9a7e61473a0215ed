"""Films of performances whose every number is known, tracked, beside what was played."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from backend.avatars.bust import make_bust
from backend.evaluation.acting import film, script, still
from backend.geometry.orbit import camera_ahead
from backend.protocol.performance import Performance
from backend.protocol.retargeting import retargeted
from backend.tracking import track
from backend.tracking.clips import Costs, track_clip
from flame import HeadModel
from flame.rotations import axis_angle_to_matrix, matrix_to_axis_angle

ACTIONS = (
    "jawOpen",
    "eyeBlinkLeft",
    "eyeBlinkRight",
    "mouthSmileLeft",
    "mouthSmileRight",
    "browInnerUp",
    "mouthPucker",
)
SIZE = 512
STILL_FRAMES = 50
MOST_LAG = 4
"""Frames in which a lag is looked for."""
SHUT = 0.5
"""A blink in which no gaze is told."""


@dataclass(frozen=True)
class Accuracy:
    """How near a tracked performance comes to what was played.

    Attributes:
        head_median, head_95: degrees of rotation.
        gaze_median: degrees, of open eyes.
        correlation: per action.
        lag: frames by which jawOpen comes late.
        jitter: degrees, standard deviation of the rotation of a head that keeps still.
        lost: frames that were taken to show no face.
        cost: seconds of a frame over seconds of its landmarks' network.
        per_second: frames.
    """

    head_median: float
    head_95: float
    gaze_median: float
    correlation: dict[str, float]
    lag: int
    jitter: float
    lost: int
    cost: float
    per_second: float


def measure(photo: bytes, model: HeadModel, frames: int) -> Accuracy:
    """Film a portrait's avatar, track the film, compare."""
    tracked = track(photo, model)
    avatar = make_bust(tracked, model)
    # A portrait may show its person from the side: the turns are those that the film's camera sees.
    camera = camera_ahead(tracked.camera, SIZE)
    played = script(frames)
    with tempfile.TemporaryDirectory(prefix="turboportrait-") as folder:
        moving, quiet, costs = Path(folder) / "moving.mp4", Path(folder) / "still.mp4", Costs()
        film(still(STILL_FRAMES), avatar, camera, quiet)
        rested = track_clip(quiet, model)  # also loads and compiles what the costs shall not count
        film(played, avatar, camera, moving)
        return compare(track_clip(moving, model, costs=costs), played, rested, costs)


def compare(found: Performance, played: Performance, rested: Performance, costs: Costs) -> Accuracy:
    """A tracked performance beside the one that was played, and one of a head that kept still."""
    lost = int((found.confidence == 0).sum())
    found = retargeted(found)
    turned = np.degrees(_apart(played.head, found.head))
    blink = np.maximum(played.action("eyeBlinkLeft"), played.action("eyeBlinkRight"))
    looks = np.degrees(_apart(played.gaze[:, 0], found.gaze[:, 0]))[blink < SHUT]
    about = axis_angle_to_matrix(rested.head[0]).T @ axis_angle_to_matrix(rested.head)
    shaken = np.degrees(matrix_to_axis_angle(about))
    lags = range(-MOST_LAG, MOST_LAG + 1)
    fits = [_correlation(played.action("jawOpen"), np.roll(found.action("jawOpen"), -lag)) for lag in lags]
    network = costs.network / max(costs.network_calls, 1)
    return Accuracy(
        head_median=float(np.median(turned)),
        head_95=float(np.percentile(turned, 95)),
        gaze_median=float(np.median(looks)),
        correlation={name: _correlation(played.action(name), found.action(name)) for name in ACTIONS},
        lag=lags[int(np.argmax(fits))],
        jitter=float(np.sqrt((shaken.std(0) ** 2).sum())),
        lost=lost,
        cost=costs.whole / costs.pictures / network,
        per_second=costs.pictures / costs.whole,
    )


def _apart(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The angles (N,) between axis-angles (N, 3), radians."""
    between = np.swapaxes(axis_angle_to_matrix(a), 1, 2) @ axis_angle_to_matrix(b)
    return np.linalg.norm(matrix_to_axis_angle(between), axis=1)


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's; 0 where one does not change."""
    return float(np.corrcoef(a, b)[0, 1]) if min(a.std(), b.std()) > 1e-9 else 0.0
