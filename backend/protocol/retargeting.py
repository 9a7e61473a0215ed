"""From what one face did to what another shall do: neutral taken out, stronger or weaker, at another frame rate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

import msgspec
import numpy as np

from backend.protocol import limits
from backend.protocol.arkit import ACTIONS, region_of
from backend.protocol.head_parameters import JOINTS, HeadParameters
from backend.protocol.performance import Performance
from flame.rotations import axis_angle_to_matrix, matrix_to_axis_angle

NECK, JAW, EYES = JOINTS.index("neck"), JOINTS.index("jaw"), [JOINTS.index("eye_left"), JOINTS.index("eye_right")]
MAX_GAIN = 5.0
MOST_AT_REST = 0.5
"""What an action may have at rest and still reach all of its way in what is left."""


def retargeted(
    performance: Performance, gains: Mapping[str, float] | None = None, neutral: int | None = None
) -> Performance:
    """A performance relative to its neutral frame, each region as strong as asked.

    An action becomes the share of the way from neutral to full that the face went; a turn is taken in the neutral
    head's own axes, so that a face that was filmed from the side drives one that looks ahead.

    Args:
        performance: of N frames.
        gains: by the names of `backend.protocol.arkit.REGIONS`; 1 where missing.
        neutral: the frame; by default the header's; -1 for none.

    Returns:
        A `Performance` with neutral -1.

    Raises:
        ValueError: a gain is not between 0 and `MAX_GAIN`, or there is no such frame.
    """
    gains = {} if gains is None else gains
    for region, gain in gains.items():
        if not 0 <= gain <= MAX_GAIN:
            raise ValueError(f"the gain of {region} is {gain:g}, it can be 0 to {MAX_GAIN:g}")
    neutral = performance.header.neutral if neutral is None else neutral
    if not -1 <= neutral < len(performance):
        raise ValueError(f"the neutral frame is number {neutral} of {len(performance)}")
    head, translation, expression, gaze = (
        performance.head,
        performance.translation,
        performance.expression,
        performance.gaze,
    )
    if neutral >= 0:
        translation = (translation - translation[neutral]) @ axis_angle_to_matrix(head[neutral])
        head, gaze = _relative(head, neutral), _relative(gaze, neutral)
        rest = expression[neutral]
        expression = (expression - rest) / (1 - np.clip(rest, 0, MOST_AT_REST))
    by_action = np.array([gains.get(region_of(action), 1.0) for action in performance.header.actions])
    turn = gains.get("head", 1.0)
    return replace(
        performance,
        header=msgspec.structs.replace(performance.header, neutral=-1),
        head=head * turn,
        translation=translation * turn,
        expression=np.clip(expression * by_action, 0, 1),
        gaze=gaze * gains.get("gaze", 1.0),
    )


def conformed(performance: Performance, rate: Fraction) -> Performance:
    """The same motion at a constant frame rate: interpolated between frames, but not across a cut.

    Raises:
        ValueError: the rate is none that a performance can have.
    """
    if not 1 <= rate <= limits.MAX_FRAME_RATE:
        raise ValueError(f"the frame rate is {float(rate):g}, it can be 1 to {limits.MAX_FRAME_RATE}")
    time = performance.time
    frames = int(np.floor((time[-1] - time[0]) * float(rate) + 1e-3)) + 1
    at = time[0] + np.arange(frames) / float(rate)
    after = np.clip(np.searchsorted(time, at), 1, max(len(time) - 1, 1)) if len(time) > 1 else np.zeros(frames, int)
    before = np.maximum(after - 1, 0)
    span = np.maximum(time[after] - time[before], 1e-9)
    share = np.clip((at - time[before]) / span, 0, 1)
    # Of two frames with a cut between them the nearer.
    share = np.where(performance.cut[after], np.round(share), share)

    def mixed(values: np.ndarray) -> np.ndarray:
        part = share.reshape(-1, *[1] * (values.ndim - 1))
        return values[before] * (1 - part) + values[after] * part

    nearest = np.where(share < 0.5, before, after)
    shot = np.cumsum(performance.cut)[nearest]
    neutral = performance.header.neutral
    if neutral >= 0:
        neutral = int(np.argmin(np.abs(at - time[neutral])))
    return replace(
        performance,
        header=msgspec.structs.replace(performance.header, fps=(rate.numerator, rate.denominator), neutral=neutral),
        time=at - at[0],
        head=_turned(performance.head, before, after, share),
        translation=mixed(performance.translation),
        expression=mixed(performance.expression),
        gaze=_turned(performance.gaze, before, after, share),
        confidence=np.minimum(performance.confidence[before], performance.confidence[after]),
        cut=np.diff(shot, prepend=shot[:1]) > 0,
    )


def from_frame(performance: Performance, first: int) -> Performance:
    """A performance that is relative to rest without the frames before `first`; time begins there."""
    columns = {
        name: getattr(performance, name)[first:]
        for name in ("head", "translation", "expression", "gaze", "confidence", "cut")
    }
    started = performance.header.started and performance.header.started + float(performance.time[first])
    header = msgspec.structs.replace(performance.header, neutral=-1, started=started)
    return replace(performance, header=header, time=performance.time[first:] - performance.time[first], **columns)


def parameters_of(
    performance: Performance,
    names: Sequence[str],
    base: HeadParameters,
    still: bool = True,
    actions: np.ndarray | None = None,
) -> list[HeadParameters]:
    """What a head shall do in each frame.

    Args:
        performance: relative to rest, see `retargeted`.
        names: the head model's expression names.
        base: what it does at the performance's rest; actions are added to it, up to 1.
        still: the neck stays where it is, as for a camera that follows; otherwise it moves along.
        actions: of a head without ARKit's names what each of them is, see `RiggedMesh`.
    """
    start = np.zeros(len(names))
    start[: len(base.expression)] = base.expression
    expression = np.tile(start, (len(performance), 1))
    pose = np.tile(np.array(base.joint_rotations, float), (len(performance), 1, 1))
    if actions is None:
        of, to = _common(performance.header.actions, names)
        # Already there is what the portrait shows: what is left of the way is gone in the same share.
        expression[:, to] += (1 - np.clip(start[to], 0, 1)) * performance.expression[:, of]
    else:
        of, to = _common(performance.header.actions, ACTIONS)
        moved = performance.expression[:, of] @ actions[to].astype(float)
        expression += moved[:, :-3]
        pose[:, JAW] = _after(pose[:, JAW], moved[:, -3:])
    pose[:, NECK] = _after(pose[:, NECK], performance.head)
    pose[:, EYES] = _after(pose[:, EYES], performance.gaze)
    places = np.array(base.translation) + (0 if still else performance.translation)
    places = np.broadcast_to(places, (len(performance), 3))
    return [HeadParameters.from_arrays(*row) for row in zip(pose, expression, places, strict=True)]


def _common(these: Sequence[str], those: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Where the names that both have are in either."""
    found = [(row, those.index(name)) for row, name in enumerate(these) if name in those]
    first, second = np.array(found, int).reshape(-1, 2).T
    return first, second


def _relative(rotations: np.ndarray, neutral: int) -> np.ndarray:
    """Axis-angle (N, ..., 3) in the axes of one of its rows."""
    matrices = axis_angle_to_matrix(rotations)
    return matrix_to_axis_angle(np.swapaxes(matrices[neutral], -1, -2) @ matrices)


def _after(first: np.ndarray, then: np.ndarray) -> np.ndarray:
    """Axis-angle of a turn followed by another in the turned axes."""
    return matrix_to_axis_angle(axis_angle_to_matrix(first) @ axis_angle_to_matrix(then))


def _turned(rotations: np.ndarray, before: np.ndarray, after: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Axis-angle (N, ..., 3) between rows, on the shortest way."""
    matrices = axis_angle_to_matrix(rotations)
    way = matrix_to_axis_angle(np.swapaxes(matrices[before], -1, -2) @ matrices[after])
    part = share.reshape(-1, *[1] * (way.ndim - 1))
    return matrix_to_axis_angle(matrices[before] @ axis_angle_to_matrix(way * part))
