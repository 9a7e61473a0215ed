"""How unlike two pictures of a face are to a face recogniser: its features at every depth, and whom it sees.

As LPIPS does with a network of photographs (Zhang et al. 2018), with one whose weights come in a package.
"""

from __future__ import annotations

import logging

import torch
from torch import nn
from torch.nn.functional import affine_grid, grid_sample

from backend.metrics.face_recogniser import CHIP, FaceRecogniser, weights_file
from backend.metrics.lpips import unit_features
from backend.refiner.head_space import UNIT

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

    def forward(
        self,
        refined: torch.Tensor,
        truth: torch.Tensor,
        places: torch.Tensor,
        raw: torch.Tensor | None = None,
        portrait: torch.Tensor | None = None,
        portrait_places: torch.Tensor | None = None,
    ) -> dict[str, torch.Tensor]:
        """Scalars, 0 where no face is seen.

        `face` is the squared difference of embeddings of length 1 of refined and truth, and the mean of features' over
        the stages. `likeness`, where a portrait is given, is how much cosine with its embedding refining cost a view;
        what it gained counts as none.

        Args:
            refined, truth, raw: (B V, 3, H, W) in [-1, 1], the V views of each portrait side by side.
            places: (B V, 3, H, W), `coordinates.scaled_places` of all three.
            portrait, portrait_places: (B, 3, H, W), of whom they are.
        """
        seen, grid = _chip_grid(places)
        if grid is None:
            return dict.fromkeys(["face"] if portrait is None else ["face", "likeness"], refined.new_zeros(()))
        features = self._features(refined[seen], grid)
        embedded = self._embedded(features)
        with torch.no_grad():
            true = self._features(truth[seen], grid)
            meant = self._embedded(true)
        stages = torch.stack([_difference(*map(unit_features, stage)) for stage in zip(features, true, strict=True)])
        terms = {"face": stages.mean() + _difference(embedded, meant)}
        if portrait is not None and portrait_places is not None and raw is not None:
            views = len(refined) // len(portrait)
            owners = [view // views for view in seen]
            terms["likeness"] = self._lost_likeness(embedded, raw[seen], grid, owners, portrait, portrait_places)
        return terms

    def _lost_likeness(
        self,
        embedded: torch.Tensor,
        raw: torch.Tensor,
        grid: torch.Tensor,
        owners: list[int],
        portrait: torch.Tensor,
        portrait_places: torch.Tensor,
    ) -> torch.Tensor:
        """`likeness` of views that show a face, embedded, the raw ones beside them, and their portraits by number."""
        known, portrait_grid = _chip_grid(portrait_places)
        shown = [k for k, owner in enumerate(owners) if owner in known]
        if portrait_grid is None or not shown:
            return embedded.new_zeros(())
        with torch.no_grad():
            before = self._embedded(self._features(raw, grid))
            people = self._embedded(self._features(portrait[known], portrait_grid))
        person = people[[known.index(owners[k]) for k in shown]]
        return ((before[shown] - embedded[shown]) * person).sum(1).clamp(min=0).mean()

    def _features(self, pictures: torch.Tensor, grid: torch.Tensor) -> list[torch.Tensor]:
        """Of the chips that the grid (N, CHIP, CHIP, 2) takes from pictures (N, 3, H, W)."""
        chips = grid_sample(pictures, grid.to(pictures), padding_mode="border", align_corners=False)
        return self.recogniser.features(chips)

    def _embedded(self, features: list[torch.Tensor]) -> torch.Tensor:
        return unit_features(self.recogniser.embed(features))


def _chip_grid(places: torch.Tensor) -> tuple[list[int], torch.Tensor | None]:
    """Which of the pictures (N, 3, H, W) show a face, and where these have their chips, for `grid_sample`."""
    boxes = {k: box for k, place in enumerate(places) if (box := face_box(place)) is not None}
    if not boxes:
        return [], None
    turns = torch.stack([_window(box, places.shape[-1], places.shape[-2]) for box in boxes.values()])
    return list(boxes), affine_grid(turns, [len(boxes), 3, CHIP, CHIP], align_corners=False)


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
    """Of features (N, C, ...) of length 1, squared, summed over the channels, its mean."""
    return (a - b).square().sum(1).mean()
