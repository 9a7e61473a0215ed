"""How unlike two pictures of a face are to a face recogniser: its features at every depth, and whom it sees.

As LPIPS does with a network of photographs (Zhang et al. 2018), with one whose weights come in a package.
"""

from __future__ import annotations

import logging

import torch
from torch import nn
from torch.nn.functional import affine_grid, grid_sample

from backend.refiner.coordinates import UNIT
from backend.training.face_recogniser import CHIP, FaceRecogniser, weights_file
from backend.training.lpips import unit_features

log = logging.getLogger(__name__)

SIDE, MIDDLE = 0.21, -0.036
"""Metres of a head that a chip shows from top to bottom, and its middle above that between the eyes: brows to chin are
some 0.125 m and 90 of 150 pixels."""
FACE = ((-0.08, 0.08), (-0.11, 0.04))
"""Metres beside and above the middle between the eyes where a picture's scale is measured."""
EYES = ((-0.04, 0.04), (-0.015, 0.015))
"""The same where a face's middle is."""
LEAST = 40
"""Pixels of each that must be seen."""


class FaceLoss(nn.Module):
    """Args: recogniser: frozen."""

    def __init__(self, recogniser: FaceRecogniser) -> None:
        super().__init__()
        self.recogniser = recogniser

    @classmethod
    def load(cls) -> FaceLoss | None:
        """With dlib's weights; None, with a warning, if their package is not there.

        Raises:
            TurboPortraitError: `training_weights`: they are damaged.
        """
        path = weights_file()
        if path is None:
            log.warning("The face term needs the package face_recognition_models; until then it is left out.")
            return None
        return cls(FaceRecogniser.load(path))

    def forward(self, a: torch.Tensor, b: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        """The squared difference of embeddings of length 1, and the mean of features' over the stages.

        0 where no face is seen.

        Args:
            a, b: (N, 3, H, W) in [-1, 1]. places: (N, 3, H, W), `coordinates.scaled_places` of both.
        """
        boxes = [face_box(place) for place in places]
        seen = [k for k, box in enumerate(boxes) if box is not None]
        if not seen:
            return a.new_zeros(())
        turns = torch.stack([_window(boxes[k], a.shape[-1], a.shape[-2]) for k in seen]).to(a)
        grid = affine_grid(turns, [len(seen), 3, CHIP, CHIP], align_corners=False)
        chips = [grid_sample(x[seen], grid, padding_mode="border", align_corners=False) for x in (a, b)]
        both = self.recogniser.features(torch.cat(chips))
        stages = torch.stack([_difference(*stage.chunk(2)) for stage in both])
        return stages.mean() + _difference(*self.recogniser.embed(both).chunk(2))


def face_box(place: torch.Tensor) -> tuple[float, float, float] | None:
    """The chip around a face: its middle's column and row, and its side, in pixels; None where no face is seen.

    Args:
        place: (3, H, W) from `coordinates.scaled_places`.
    """
    column, row = (x.reshape(-1) for x in torch.meshgrid(*map(torch.arange, place.shape[1:]), indexing="ij")[::-1])
    aside, above, _ = place.flatten(1) * UNIT
    known = (place != 0).any(0).flatten()
    face, eyes = (known & _within(aside, x) & _within(above, y) for x, y in (FACE, EYES))
    if min(face.sum(), eyes.sum()) < LEAST:
        return None
    rows, heights = row[face].float(), above[face]
    spread = heights - heights.mean()
    scale = float(-(rows * spread).sum() / spread.square().sum())
    middle = float(rows.mean() + scale * (heights.mean() - MIDDLE))
    return float(column[eyes].float().mean()) + 0.5, middle + 0.5, SIDE * scale


def _within(values: torch.Tensor, limits: tuple[float, float]) -> torch.Tensor:
    return (values > limits[0]) & (values < limits[1])


def _window(box: tuple[float, float, float], width: int, height: int) -> torch.Tensor:
    """(2, 3) from a chip's coordinates in [-1, 1] to the picture's."""
    x, y, side = box
    return torch.tensor([[side / width, 0, 2 * x / width - 1], [0, side / height, 2 * y / height - 1]])


def _difference(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Of features (N, C, ...), summed over the channels, its mean."""
    return (unit_features(a) - unit_features(b)).square().sum(1).mean()
