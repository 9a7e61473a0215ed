"""One box around the head in each picture: the work of the networks falls with the pixels that they are shown.

A portrait's framing leaves some two thirds of a picture to shoulders and background, where a refiner of the head alone
changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from backend.refiner.head_space import BESIDE, CHIN, NECK


def heads_shown(place: np.ndarray) -> np.ndarray:
    """Where a picture shows what may be changed (see `head_share`).

    Args:
        place: (..., H, W, 3) metres, zero where nothing is known.

    Returns:
        (..., H, W) bool; all of a picture that knows no place.
    """
    known = (place != 0).any(-1)
    aside, height = np.abs(place[..., 0]), place[..., 1]
    head = ((height > CHIN[0]) | ((aside < BESIDE[1]) & (height > NECK[0]))) & known
    return np.where(known.any((-2, -1), keepdims=True), head, True)


@dataclass(frozen=True)
class Boxes:
    """One box in each of N square pictures, all of one size.

    Attributes:
        corners: (row, column) of each.
        height, width: of all of them.
    """

    corners: Sequence[tuple[int, int]]
    height: int
    width: int

    @classmethod
    def around(cls, shown: np.ndarray, step: int) -> Boxes:
        """The smallest around what is shown.

        Args:
            shown: (N, S, S) bool.
            step: corners and sizes are multiples of it, so that the networks' grids lie on a picture as they do on the
                whole of it; so must S be.
        """
        size = shown.shape[-1]
        spans = [[_span(line, step) for line in (picture.any(1), picture.any(0))] for picture in shown]
        height, width = (max(high - low for low, high in along) for along in zip(*spans, strict=True))

        def corner(span: tuple[int, int], length: int) -> int:
            spare = (length - (span[1] - span[0])) // (2 * step) * step
            return max(0, min(span[0] - spare, size - length))

        return cls([(corner(rows, height), corner(columns, width)) for rows, columns in spans], height, width)

    def grown(self, height: int, width: int, size: int) -> Boxes:
        """At least so large, inside pictures of a size."""
        height, width = max(height, self.height), max(width, self.width)
        corners = [(min(row, size - height), min(column, size - width)) for row, column in self.corners]
        return Boxes(corners, height, width)

    def cut(self, pictures: np.ndarray, along: int = 1) -> np.ndarray:
        """Pictures (N, ..., S, S, ...), their rows in dimension `along`, cut to (N, ..., height, width, ...)."""
        before = (slice(None),) * (along - 1)
        return np.stack(
            [
                picture[(*before, slice(row, row + self.height), slice(column, column + self.width))]
                for picture, (row, column) in zip(pictures, self.corners, strict=True)
            ]
        )

    def paste(self, parts: np.ndarray, pictures: np.ndarray) -> None:
        """Write parts (N, height, width, ...) into pictures (N, S, S, ...)."""
        for part, picture, (row, column) in zip(parts, pictures, self.corners, strict=True):
            picture[row : row + self.height, column : column + self.width] = part


def _span(line: np.ndarray, step: int) -> tuple[int, int]:
    """From where to where a line (S,) of bool is true, in whole steps; at least one."""
    (found,) = line.nonzero()
    if not len(found):
        return 0, step
    return int(found[0]) // step * step, -(-(int(found[-1]) + 1) // step) * step
