"""What is wrong with a batch before it starts, collected so that all of it is said at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from backend.protocol.errors import TurboPortraitError


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that must be mended first: the line of the shot list (0 for none) and a sentence."""

    line: int
    sentence: str

    def text(self, file: str) -> str:
        """As compilers say it: file, line, what is wrong."""
        return f"{file}:{self.line}: {self.sentence}" if self.line else f"{file}: {self.sentence}"


class BatchRefused(TurboPortraitError):
    """Nothing was rendered; `problems` has all that was found."""

    def __init__(self, file: str, problems: Sequence[Problem]) -> None:
        self.file = file
        self.problems = tuple(sorted(set(problems)))
        lines = "\n".join(problem.text(file) for problem in self.problems)
        super().__init__("batch_refused", sentence=f"{lines}\n{len(self.problems)} problems, nothing was rendered.")
