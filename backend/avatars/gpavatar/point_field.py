"""The point-based expression field and its decoder, in the direct form: the definition, and what training runs.

`folded.py` computes the same with less work. Parameter names are those of the published checkpoint.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import grid_sample, normalize

from backend.avatars.gpavatar.nearest import nearest_points
from backend.avatars.gpavatar.style_unet import widen_colours

FREQUENCIES = 4
EMBEDDED = 3 + 3 * 2 * FREQUENCIES
HIDDEN = 128
BOX = 1.0
"""Half the side of the cube that is rendered."""
SMALLEST_DISTANCE = 1e-12
"""Squared; below it the inverse would leave float32."""
COLOURS = 3
"""The first feature channels are a picture."""


def harmonics(x: Tensor) -> Tensor:
    """(..., 3) to (..., 27): sin and cos of x, 2x, 4x and 8x, each coordinate's frequencies together, then x itself."""
    angles = (x[..., None] * (2.0 ** torch.arange(FREQUENCIES, device=x.device, dtype=x.dtype))).flatten(-2)
    return torch.cat([angles.sin(), angles.cos(), x], -1)


def sample_planes(planes: Tensor, coordinates: Tensor) -> Tensor:
    """The mean of three planes at projected points.

    Args:
        planes: (N, 3, C, S, S), over (x, y), (x, z) and (z, y); the first of each pair runs along the rows.
        coordinates: (N, M, 3) in the box.

    Returns:
        (N, M, C); zero outside the planes.
    """
    x, y, z = coordinates.unbind(-1)
    pairs = torch.stack([torch.stack(pair, -1) for pair in ((x, y), (x, z), (z, y))], 1)
    sampled = grid_sample(planes.flatten(0, 1), pairs.flatten(0, 1)[:, None].to(planes.dtype), align_corners=False)
    return sampled.unflatten(0, (-1, 3))[:, :, :, 0].mean(1).transpose(1, 2)


class PointFeatures(nn.Module):
    """Features of the nearest points, weighted by inverse squared distance.

    The weights are normalised for each rank k over **all samples of the call**, as the published code does (not over
    the neighbours), so a render that is cut into chunks must hand in the sums of the whole: see `inverse_sums`.
    """

    def __init__(self, points: int, channels: int, neighbours: int) -> None:
        super().__init__()
        self.neighbours = neighbours
        self.points_feature = nn.Embedding(points, channels)
        self.point_layers = nn.Sequential(
            nn.Linear(channels + EMBEDDED, 2 * channels), nn.ReLU(), nn.Linear(2 * channels, channels)
        )

    def forward(
        self, coordinates: Tensor, points: Tensor, nearest: tuple[Tensor, Tensor], sums: Tensor | None = None
    ) -> Tensor:
        """Features (N, M, C) at coordinates (N, M, 3) from points (N, P, 3).

        Args:
            nearest: squared distances and indices (N, M, K), from `nearest_points`.
            sums: (N, 1, K), `inverse_sums` of the whole render; of these samples if None.
        """
        distances, index = nearest
        weights = 1 / distances.clamp(min=SMALLEST_DISTANCE)
        weights = weights / (inverse_sums(distances) if sums is None else sums)
        batch = torch.arange(len(points), device=points.device)[:, None, None]
        directions = normalize(coordinates[:, :, None] - points[batch, index], dim=-1)
        features = self.points_feature(index)
        features = self.point_layers(torch.cat([features, harmonics(directions).to(features.dtype)], -1))
        return (features * weights[..., None].to(features.dtype)).sum(2)


def inverse_sums(distances: Tensor) -> Tensor:
    """Squared distances (N, M, K) to the sums (N, 1, K) that normalise their inverses over the samples."""
    return (1 / distances.clamp(min=SMALLEST_DISTANCE)).sum(1, keepdim=True)


class PointField(nn.Module):
    """Opacity and feature of any point in the box: tri-planes and nearest points, decoded by small layers."""

    def __init__(self, points: int, channels: int, neighbours: int) -> None:
        super().__init__()
        self.points_querier = PointFeatures(points, channels, neighbours)
        self.feature_layers = nn.Sequential(
            nn.Linear(2 * channels, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN)
        )
        self.density_layers = nn.Sequential(nn.Linear(HIDDEN, 1), nn.Softplus(beta=10.0))
        self.rgb_layers = nn.Sequential(nn.Linear(HIDDEN + EMBEDDED, 64), nn.ReLU(), nn.Linear(64, channels))

    def forward(
        self,
        coordinates: Tensor,
        directions: Tensor,
        points: Tensor,
        planes: Tensor,
        nearest: tuple[Tensor, Tensor] | None = None,
        sums: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Opacities (N, M, 1) in [0, 1) and features (N, M, C), the first three of them colours.

        Args:
            coordinates: (N, M, 3), the box is [-1, 1]^3; outside, the opacity is zero.
            directions: (N, M, 3), of the rays; any length.
            points: (N, P, 3), the head model's posed vertices in the box.
            planes: (N, 3, C, S, S).
            nearest, sums: see `PointFeatures`; found here if None.
        """
        nearest = nearest or nearest_points(coordinates, points, self.points_querier.neighbours)
        local = self.points_querier(coordinates, points, nearest, sums)
        features = self.feature_layers(torch.cat([sample_planes(planes, coordinates).to(local.dtype), local], -1))
        inside = (coordinates.abs() < BOX).all(-1, keepdim=True)
        opacities = 1 - (-self.density_layers(features) * inside).exp()
        rays = harmonics(normalize(directions, dim=-1)).to(features.dtype)
        result = self.rgb_layers(torch.cat([features, rays], -1))
        colours = widen_colours(result[..., :COLOURS].sigmoid())
        return opacities, torch.cat([colours, result[..., COLOURS:]], -1)
