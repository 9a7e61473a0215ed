"""A shot list as it is read: shots, and what is wrong with the file."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from backend.batch.problems import Problem
from backend.protocol.limits import MAX_SHOTS
from backend.protocol.shots import Shot

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


def decode_text(data: bytes, found: ShotList) -> str | None:
    """UTF-8 (with or without a mark) as text; None and a problem with its line otherwise."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        found.complain(line, f"is not UTF-8 text (byte 0x{data[error.start]:02x}): save it as UTF-8")
        return None
