"""Shot lists from files: CSV by our own reader, edits (OTIO, EDL, FCP XML, AAF) through OpenTimelineIO."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from backend.batch.problems import Problem
from backend.protocol.limits import MAX_SHOTS
from backend.protocol.reading import read_bounded
from backend.protocol.shots import Shot

MAX_FILE_BYTES = {".csv": 4 << 20, ".tsv": 4 << 20, ".edl": 4 << 20}
MAX_EDIT_BYTES = 32 << 20
"""Of a file of any other kind."""
MAX_PROBLEMS = 100
"""What is wrong beyond them is not looked for."""


@dataclass
class ShotList:
    """What a file says.

    Attributes:
        shots: those that could be read, in the file's order.
        rate: frames per second, None where the file does not say.
        problems: what could not be read.
        rate_line: where the rate stands, 0 where that is no line.
        notes: what is left out or read otherwise than one might expect.
        names: keys of the shots' names that are taken.
    """

    shots: list[Shot] = field(default_factory=list)
    rate: Fraction | None = None
    problems: list[Problem] = field(default_factory=list)
    rate_line: int = 0
    notes: list[Problem] = field(default_factory=list)
    names: set[str] = field(default_factory=set)

    @property
    def full(self) -> bool:
        """There are so many shots or problems that reading on is of no use."""
        return len(self.shots) > MAX_SHOTS or len(self.problems) >= MAX_PROBLEMS

    def complain(self, line: int, sentence: str) -> None:
        """Note a problem."""
        self.problems.append(Problem(line, sentence[:500]))

    def note(self, line: int, sentence: str) -> None:
        """Note what is no problem."""
        if len(self.notes) < MAX_PROBLEMS:
            self.notes.append(Problem(line, sentence[:500]))


def read_shot_list(path: Path, rate: Fraction | None = None) -> ShotList:
    """Read a shot list of any kind; what is wrong with it is in its `problems`, nothing is raised.

    Args:
        rate: for files that don't say theirs (EDL).
    """
    found = ShotList()
    try:
        data = read_bounded(path, MAX_FILE_BYTES.get(path.suffix.lower(), MAX_EDIT_BYTES))
    except OSError as error:
        found.complain(0, f"cannot be read: {error.strerror}")
        return found
    if path.suffix.lower() in (".csv", ".tsv"):
        from backend.batch.shot_csv import read_csv as read
    else:
        from backend.batch.shot_timelines import read_timeline as read
    read(path, data, found, rate)
    if not found.shots and not found.problems:
        found.complain(0, "has no shots")
    if len(found.shots) > MAX_SHOTS:
        found.complain(0, f"has more than {MAX_SHOTS:,} shots: split it")
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
