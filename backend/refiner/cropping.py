"""Refining head and neck alone: what is changed ends at the shoulders, and the networks see a box around it only.

A portrait's framing leaves some two thirds of a picture to shoulders and background, where the raw view is to stay as
it is; the work of the networks falls with the pixels that they are shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from backend.refiner.coordinates import UNIT

CHIN, NECK = (-0.12, -0.08), (-0.18, -0.145)
"""Metres above the middle between the eyes, on the resting head: what lies below the first height is not changed, from
the second on all is. CHIN is for what lies beside the neck (shoulders, collars), NECK for the neck."""
BESIDE = (0.085, 0.12)
"""Metres from the head's middle plane: up to the first it is the neck, from the second on what is beside it."""


def head_share(places: torch.Tensor) -> torch.Tensor:
    """How much of a change is made, by where on the head pixels lie.

    Args:
        places: (..., 3, H, W) from `coordinates.scaled_places`.

    Returns:
        (..., 1, H, W) in [0, 1]; 1 everywhere in a picture that knows no place at all.
    """
    shown = (places != 0).any(-3, keepdim=True)
    aside, height = places[..., :1, :, :].abs(), places[..., 1:2, :, :]
    neck = 1 - _risen(aside, BESIDE)
    share = torch.maximum(_risen(height, CHIN), neck * _risen(height, NECK)) * shown
    return torch.where(shown.any((-2, -1), keepdim=True), share, 1.0)


def _risen(values: torch.Tensor, between: tuple[float, float]) -> torch.Tensor:
    """From 0 to 1, linearly, where values in units rise between two lengths in metres."""
    low, high = (metres / UNIT for metres in between)
    return ((values - low) / (high - low)).clamp(0, 1)


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
    def around(cls, shown: torch.Tensor, step: int) -> Boxes:
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

    def cut(self, pictures: torch.Tensor, along: int = 1) -> torch.Tensor:
        """Pictures (N, ..., S, S, ...), their rows in dimension `along`, cut to (N, ..., height, width, ...)."""
        parts = (
            picture.narrow(along - 1, row, self.height).narrow(along, column, self.width)
            for picture, (row, column) in zip(pictures, self.corners, strict=True)
        )
        return torch.stack(list(parts))

    def paste(self, parts: torch.Tensor, pictures: torch.Tensor) -> None:
        """Write parts (N, height, width, ...) into pictures (N, S, S, ...)."""
        for part, picture, (row, column) in zip(parts, pictures, self.corners, strict=True):
            picture[row : row + self.height, column : column + self.width] = part


def _span(line: torch.Tensor, step: int) -> tuple[int, int]:
    """From where to where a line (S,) of bool is true, in whole steps; at least one."""
    found = line.nonzero()
    if not len(found):
        return 0, step
    return int(found[0]) // step * step, -(-(int(found[-1]) + 1) // step) * step
