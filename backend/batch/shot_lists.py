"""Shot lists from files: CSV by our own reader, edits (OTIO, EDL, FCP XML, AAF) through OpenTimelineIO."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from backend.batch.problems import Problem
from backend.protocol.shots import Shot

MAX_FILE_BYTES = 64 << 20
MAX_SHOTS = 10_000


@dataclass
class ShotList:
    """What a file says.

    Attributes:
        shots: those that could be read, in the file's order.
        rate: frames per second, None where the file does not say.
        problems: what could not be read.
        rate_line: where the rate stands, 0 where that is no line.
    """

    shots: list[Shot] = field(default_factory=list)
    rate: Fraction | None = None
    problems: list[Problem] = field(default_factory=list)
    rate_line: int = 0

    def complain(self, line: int, sentence: str) -> None:
        """Note a problem."""
        self.problems.append(Problem(line, sentence))


def read_shot_list(path: Path, rate: Fraction | None = None) -> ShotList:
    """Read a shot list of any kind; what is wrong with it is in its `problems`, nothing is raised.

    Args:
        rate: for files that don't say theirs (EDL).
    """
    found = ShotList()
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            found.complain(0, f"the file has {size >> 20} MiB: that is no shot list")
            return found
        data = path.read_bytes()
    except OSError as error:
        found.complain(0, f"cannot be read: {error.strerror}")
        return found
    if path.suffix.lower() == ".csv":
        from backend.batch.shot_csv import read_csv as read
    else:
        from backend.batch.shot_timelines import read_timeline as read
    read(path, data, found, rate)
    if not found.shots and not found.problems:
        found.complain(0, "has no shots")
    if len(found.shots) > MAX_SHOTS:
        found.complain(0, f"has {len(found.shots)} shots, at most {MAX_SHOTS} are possible")
        found.shots.clear()
    return found


def decode_text(data: bytes, found: ShotList) -> str | None:
    """UTF-8 (with or without a mark) as text; None and a problem with its line otherwise."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        found.complain(line, f"is not UTF-8 text (byte 0x{data[error.start]:02x}): save it as UTF-8")
        return None
