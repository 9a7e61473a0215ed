"""Attacks on the program, drawn at random: each fuzzer is a module with `run(count: int, seed: int) -> dict[str, int]`.

`run` makes `count` attacks from the seed and returns how often each outcome was seen (counts, which can be added up).
It raises AssertionError, with the seed in its words, where the program did not stand one of them.

A short form of each runs with the other tests; `make fuzz` runs the long form (see `__main__`).
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass


@dataclass(frozen=True)
class Fuzzer:
    """How many attacks the short and the long form make; `rounds` of the long form can be interrupted between."""

    name: str
    short: int
    long: int
    rounds: int = 20

    def run(self, count: int, seed: int) -> dict[str, int]:
        """See the package."""
        return importlib.import_module(f"{__name__}.fuzz_{self.name}").run(count, seed)


FUZZERS = (
    Fuzzer("messages", short=500, long=100_000),
    Fuzzer("pickles", short=2_000, long=20_000),
    Fuzzer("pictures", short=1_000, long=15_000),
    Fuzzer("kills", short=4, long=200),
    Fuzzer("disks", short=6, long=50, rounds=10),
)
