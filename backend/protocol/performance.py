"""A performance: what a head does over time, as a file that every host reads. `docs/performance.md` has the layout.

JSON lines: a header, then a line per frame. So a capture that runs is written, sent and read line by line, and of a
file that was cut off all whole lines are good.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np

from backend.protocol import limits
from backend.protocol.arkit import ACTIONS
from backend.protocol.errors import TurboPortraitError
from backend.protocol.files import write_file
from backend.protocol.reading import read_bounded

FORMAT, VERSION = "turboportrait performance", 1
DIGITS = 6
"""Decimals that are written."""
MAX_NOTES = 1000
BOUNDS = {
    "time": limits.MAX_PERFORMANCE_SECONDS,
    "head": limits.MAX_JOINT_ANGLE,
    "translation": limits.MAX_TRANSLATION,
    "expression": limits.MAX_EXPRESSION_COEFFICIENT,
    "gaze": limits.MAX_JOINT_ANGLE,
}
"""The largest values, to either side, that a head can have."""
_Angles = Annotated[list[float], msgspec.Meta(min_length=3, max_length=3)]


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The first line.

    Attributes:
        fps: frames per second as a fraction, what the frames were taken at; their `time` is exact where that varied.
        source: what was tracked or imported: the name of a file or device.
        neutral: the frame that shows the face at rest and the head straight ahead; -1: the numbers are relative to rest
            already.
        notes: sentences on what was met on the way.
        actions: the names that `expression` counts.
        started: seconds since 1970 at time 0, of a capture; 0 where that is unknown.
    """

    fps: tuple[int, int]
    source: Annotated[str, msgspec.Meta(max_length=limits.MAX_KEY_LENGTH)] = ""
    neutral: int = -1
    notes: Annotated[tuple[str, ...], msgspec.Meta(max_length=MAX_NOTES)] = ()
    actions: tuple[str, ...] = ACTIONS
    format: str = FORMAT
    version: int = VERSION
    started: Annotated[float, msgspec.Meta(ge=0, le=limits.MAX_CLOCK_SECONDS)] = 0.0

    @property
    def rate(self) -> float:
        """Frames per second."""
        return self.fps[0] / self.fps[1]


class Frame(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line; see `Performance` for the units."""

    time: float
    head: _Angles
    translation: _Angles
    expression: list[float]
    gaze: Annotated[list[float], msgspec.Meta(min_length=6, max_length=6)]
    confidence: Annotated[float, msgspec.Meta(ge=0, le=1)] = 1.0
    cut: bool = False


@dataclass(frozen=True, eq=False)
class Performance:
    """Frames of a head's motion; arrays of N rows.

    Attributes:
        header: what it is.
        time: (N,) float64, seconds from the first frame, growing.
        head: (N, 3) float64, axis-angle: how the head is turned from facing the camera upright, in head space's axes.
        translation: (N, 3) float64, metres, same axes: where the neck joint is, from anywhere fixed.
        expression: (N, 52) float64, the header's actions, 0 at rest, 1 in full; what eyes look at is in `gaze` alone.
        gaze: (N, 2, 3) float64, axis-angle of the left and the right eye in the head.
        confidence: (N,) float64 in [0, 1]; 0 where no face was seen and the frame was filled in.
        cut: (N,) bool, the frame is the first after a cut.
    """

    header: Header
    time: np.ndarray
    head: np.ndarray
    translation: np.ndarray
    expression: np.ndarray
    gaze: np.ndarray
    confidence: np.ndarray
    cut: np.ndarray

    def __len__(self) -> int:
        return len(self.time)

    def action(self, name: str) -> np.ndarray:
        """(N,) one action's curve."""
        return self.expression[:, self.header.actions.index(name)]

    def noted(self, *sentences: str) -> Performance:
        """The same with more notes."""
        notes = (*self.header.notes, *sentences)[:MAX_NOTES]
        return replace(self, header=msgspec.structs.replace(self.header, notes=notes))

    @classmethod
    def of_frames(cls, header: Header, frames: list[Frame]) -> Performance:
        """Frames put together.

        Raises:
            ValueError: there are none, one has numbers that no head can have, or they do not follow each other.
        """
        if not frames:
            raise ValueError("it has no frames")
        for row, frame in enumerate(frames):
            if len(frame.expression) != len(header.actions):
                raise ValueError(f"frame {row} has {len(frame.expression)} actions, the header {len(header.actions)}")
        columns = {
            name: np.array([getattr(frame, name) for frame in frames], bool if name == "cut" else float)
            for name in Frame.__struct_fields__
        }
        columns["gaze"] = columns["gaze"].reshape(-1, 2, 3)
        made = cls(header, **columns)
        if problem := made.problem():
            raise ValueError(problem)
        return made

    def problem(self) -> str:
        """What is wrong with it; empty if nothing is."""
        if problem := header_problem(self.header, len(self)):
            return problem
        for name, most in BOUNDS.items():
            # Also false where a value is no number.
            good = (np.abs(getattr(self, name)) <= most).reshape(len(self), -1).all(1)
            if not good.all():
                return f"frame {int(np.argmin(good))} has a {name} beyond ±{most:g}"
        if (steps := np.diff(self.time) <= 0).any():
            return f"frame {int(np.argmax(steps)) + 1} is not later than the one before"
        return ""

    def save(self, path: str | Path) -> None:
        """Write in one step.

        Raises:
            TurboPortraitError: as `atomic_file`; bad_performance.
        """
        if problem := self.problem():
            raise TurboPortraitError("bad_performance", problem)
        write_file(path, b"\n".join([encode_header(self.header), *map(msgspec.json.encode, self.frames()), b""]))

    def frames(self) -> list[Frame]:
        """A line per frame, with the decimals that are written."""
        # Zero is added, for otherwise there are negative ones.
        wide = [np.round(each.reshape(len(self), -1), DIGITS) + 0.0 for each in (self.head, self.translation,
                self.expression, self.gaze)]  # fmt: skip
        columns = [np.round(self.time, DIGITS), *wide, np.round(self.confidence, DIGITS), self.cut]
        return [Frame(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]

    @classmethod
    def load(cls, path: str | Path) -> Performance:
        """Read and check; a last line that was cut off is left out and noted.

        Raises:
            TurboPortraitError: bad_performance, with the line.
        """
        name = Path(path).name
        try:
            content = read_bounded(path, limits.MAX_PERFORMANCE_BYTES)
        except OSError as error:
            raise TurboPortraitError("bad_performance", f"{name}: {error.strerror or error}") from error
        *lines, last = content.split(b"\n")
        header, frames = None, []
        for number, line in enumerate(lines, 1):
            try:
                if number == 1:
                    header = decode_header(line)
                else:
                    frames.append(_FRAME.decode(line))
            except (msgspec.MsgspecError, ValueError, RecursionError) as error:
                raise TurboPortraitError("bad_performance", f"{name}, line {number}: {error}"[:300]) from error
        try:
            if header is None:
                raise ValueError("it has no header")
            made = cls.of_frames(header, frames)
        except ValueError as error:
            raise TurboPortraitError("bad_performance", f"{name}: {error}"[:300]) from error
        return made.noted("The file was cut off in its last line, which is left out.") if last.strip() else made


_HEADER, _FRAME = msgspec.json.Decoder(Header), msgspec.json.Decoder(Frame)


def encode_header(header: Header) -> bytes:
    """The first line, without its end."""
    return msgspec.json.encode(header)


def encode_frame(frame: Frame) -> bytes:
    """A frame's line, without its end."""
    return msgspec.json.encode(frame)


def decode_header(line: bytes | str) -> Header:
    """Raises ValueError: it is no header, of another version, or has numbers that cannot be."""
    header = _HEADER.decode(line)
    if header.format != FORMAT or header.version != VERSION:
        raise ValueError(f"version {header.version} of {header.format[:40]!r}, this program reads version {VERSION}")
    if problem := header_problem(header):
        raise ValueError(problem)
    return header


def decode_frame(line: bytes | str, header: Header) -> Frame:
    """One frame of a capture that runs, checked. Raises ValueError."""
    frame = _FRAME.decode(line)
    Performance.of_frames(msgspec.structs.replace(header, neutral=-1), [frame])
    return frame


def header_problem(header: Header, frames: int | None = None) -> str:
    """What is wrong with a header, of so many frames if they are known; empty if nothing is."""
    numerator, denominator = header.fps
    if denominator < 1 or not 1 <= numerator / denominator <= limits.MAX_FRAME_RATE:
        return f"the frame rate is {numerator}/{denominator}"
    if not 1 <= len(header.actions) <= limits.MAX_EXPRESSION or len(set(header.actions)) < len(header.actions):
        return f"it names {len(header.actions)} actions, {len(set(header.actions))} different ones"
    if frames is not None and not -1 <= header.neutral < frames:
        return f"its neutral frame is number {header.neutral} of {frames}"
    return ""
