"""What a loader is, and the choices that all loaders make alike."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Protocol

import numpy as np

from backend.people.captures.subject import Capture

MOMENTS = 3
"""At most so many frames of a person ("one to three", paper, section 4)."""


class CaptureSource(Protocol):
    """A data set on the disk.

    Attributes:
        name: "panohead", "nersemble" or "ava256".
        targets: V, how many views besides the reference the paper takes of it.
    """

    name: str
    targets: int

    def __init__(self, folder: Path) -> None: ...

    @staticmethod
    def found_in(folder: Path) -> bool:
        """Whether a folder has this data set's layout."""

    def identities(self) -> list[str]:
        """Everyone in it, in a fixed order."""

    def captures(self, identity: str) -> list[Capture]:
        """Moments of a person; raises Unusable where the person cannot be used at all."""


def dice(*names: str) -> np.random.Generator:
    """Random numbers that only the names decide: the same person gets the same frames and cameras everywhere."""
    digest = hashlib.sha256("/".join(names).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "big"))


def choose_moments(source: str, identity: str, moments: list) -> list:
    """One to three of the moments there are, in their order."""
    rng = dice(source, identity, "moments")
    count = min(int(rng.integers(1, MOMENTS + 1)), len(moments))
    return [moments[i] for i in sorted(rng.choice(len(moments), count, replace=False))]
