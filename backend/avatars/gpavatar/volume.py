"""Rays through the box, and what is seen along them, in two passes (GPAvatar, section 3.4; after NeRF).

The sampling follows nerfacc, which the published code uses: strata between the box's faces, then inverse-transform
sampling of the coarse weights with the coarse depths taken as edges.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from backend.avatars.gpavatar.point_field import BOX

Query = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Coordinates (N, M, 3) and directions (N, M, 3) to opacities (N, M, 1) and features (N, M, C)."""


@dataclass(frozen=True)
class Rays:
    """Rays of N views, in the box's unit.

    Attributes:
        origins: (N, R, 3).
        directions: (N, R, 3), unit length.
    """

    origins: Tensor
    directions: Tensor

    def at(self, depths: Tensor) -> Tensor:
        """Coordinates (N, R, S, 3) at depths (N, R, S) along the rays."""
        return self.origins[:, :, None] + depths[..., None] * self.directions[:, :, None]


@dataclass(frozen=True)
class VolumeRendering:
    """What rays see.

    Attributes:
        features: (N, R, C), over a background of zero.
        coarse: (N, R, C), the first pass alone, or None where it was not asked for.
        opacity: (N, R, 1) in [0, 1].
        depth: (N, R, 1), the mean depth along the rays times the opacity.
        farthest: the largest depth of any sample.
    """

    features: Tensor
    coarse: Tensor | None
    opacity: Tensor
    depth: Tensor
    farthest: Tensor


def published_rays(transforms: Tensor, size: int, focal_length: float) -> Rays:
    """The published camera's rays: PyTorch3D's axes (x left, y up, z forward), both image borders included.

    Args:
        transforms: (N, 3, 4), R and T of X_view = X R + T (row vectors) side by side.
        size: rays along each side.
        focal_length: in units of half the image's side.

    Returns:
        Rays (N, size * size, 3), row by row from the top left.
    """
    steps = torch.linspace(1, -1, size, device=transforms.device, dtype=transforms.dtype) / focal_length
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    directions = torch.stack([x, y, torch.ones_like(x)], -1).reshape(1, -1, 3)
    rotation, translation = transforms[:, :, :3], transforms[:, :, 3]
    directions = directions @ rotation.transpose(1, 2)
    origins = -(rotation @ translation[:, :, None]).transpose(1, 2)
    return Rays(origins.expand_as(directions), torch.nn.functional.normalize(directions, dim=-1))


def box_depths(rays: Rays) -> tuple[Tensor, Tensor]:
    """Where rays enter and leave the box, (N, R) each; -1 and -1 where they miss it or have left it behind.

    A ray that begins inside the box enters it at 0.
    """
    inverse = 1 / rays.directions
    a, b = (-BOX - rays.origins) * inverse, (BOX - rays.origins) * inverse
    enter, leave = torch.minimum(a, b).amax(-1), torch.maximum(a, b).amin(-1)
    hit = (leave > enter) & (leave > 0)
    miss = torch.full_like(enter, -1.0)
    return torch.where(hit, enter.clamp(min=0), miss), torch.where(hit, leave, miss)


def coarse_depths(rays: Rays, samples: int, generator: torch.Generator | None = None) -> Tensor:
    """Depths (N, R, S) at the middles of equal strata; with a generator their edges are jittered, as for training."""
    enter, leave = box_depths(rays)
    edges = torch.linspace(0, 1, samples + 1, device=enter.device) * (leave - enter)[..., None] + enter[..., None]
    if generator is not None:
        middles = (edges[..., 1:] + edges[..., :-1]) / 2
        upper = torch.cat([middles, edges[..., -1:]], -1)
        lower = torch.cat([edges[..., :1], middles], -1)
        random = torch.rand(edges.shape, generator=generator).to(edges)
        edges = lower + (upper - lower) * random
    return (edges[..., 1:] + edges[..., :-1]) / 2


def fine_depths(depths: Tensor, weights: Tensor, samples: int, generator: torch.Generator | None = None) -> Tensor:
    """Depths (N, R, samples) where the coarse weights (N, R, S) are, by nerfacc's importance sampling.

    The coarse depths are the edges and the cumulated weights their distribution's values, so it begins at the first
    weight, not at zero, as in the published code. A generator shifts all samples of a ray together.
    """
    density = weights + 1e-5
    cumulated = (density / density.sum(-1, keepdim=True)).cumsum(-1)
    low, high = cumulated[..., :1], cumulated[..., -1:]
    shift: float | Tensor = 0.5
    if generator is not None:
        shift = torch.rand(low.shape, generator=generator).to(low)
    u = low + (torch.arange(samples, device=low.device) + shift) * ((high - low) / samples)
    last = depths.shape[-1] - 1
    right = torch.searchsorted(cumulated[..., :-1].contiguous(), u.contiguous(), right=True).clamp(max=last)
    left = (right - 1).clamp(min=0)
    (u0, t0), (u1, t1) = ((cumulated.gather(-1, i), depths.gather(-1, i)) for i in (left, right))
    middles = torch.where(u1 - u0 < 1e-10, (t0 + t1) / 2, t0 + (u - u0) * (t1 - t0) / (u1 - u0).clamp(min=1e-10))
    between = (middles[..., 1:] + middles[..., :-1]) / 2
    first = torch.maximum(middles[..., :1] - (middles[..., 1:2] - middles[..., :1]) / 2, depths[..., :1])
    end = torch.minimum(middles[..., -1:] + (middles[..., -1:] - middles[..., -2:-1]) / 2, depths[..., -1:])
    edges = torch.cat([first, between, end], -1)
    return (edges[..., 1:] + edges[..., :-1]) / 2


def ray_weights(opacities: Tensor) -> Tensor:
    """Opacities (..., S) in order of depth to the samples' shares (..., S) of what the ray sees."""
    through = torch.cumprod(1 - opacities, -1)
    return opacities * torch.cat([torch.ones_like(through[..., :1]), through[..., :-1]], -1)


def render_rays(
    rays: Rays, query: Query, coarse_samples: int, fine_samples: int, generator: torch.Generator | None = None
) -> VolumeRendering:
    """Coarse pass, fine pass, both merged in order of depth.

    Args:
        rays: see `Rays`.
        query: the field; called once for each pass with all samples, because the published weights are normalised
            over a whole call.
        coarse_samples, fine_samples: per ray.
        generator: jitters the samples, for training; None for none.
    """
    coarse_t = coarse_depths(rays, coarse_samples, generator)
    opacities, features = _ask(query, rays, coarse_t)
    weights = ray_weights(opacities)
    coarse = (weights[..., None] * features).sum(2)
    fine_t = fine_depths(coarse_t, weights.detach(), fine_samples, generator)
    fine_opacities, fine_features = _ask(query, rays, fine_t)
    depths, order = torch.cat([coarse_t, fine_t], -1).sort(-1)
    opacities = torch.cat([opacities, fine_opacities], -1).gather(-1, order)
    features = torch.cat([features, fine_features], 2)
    features = features.gather(2, order[..., None].expand(-1, -1, -1, features.shape[-1]))
    weights = ray_weights(opacities)
    return VolumeRendering(
        (weights[..., None] * features).sum(2),
        coarse,
        weights.sum(-1, keepdim=True).clamp(0, 1),
        (weights * depths).sum(-1, keepdim=True),
        depths.max(),
    )


def published_depth(rendering: VolumeRendering) -> Tensor:
    """The published depth image (N, R, 1): stretched to [0, 1] over the call, for comparison only."""
    depth = rendering.depth + (1 - rendering.opacity) * rendering.farthest
    return (depth - depth.min()) / (depth.max() - depth.min())


def _ask(query: Query, rays: Rays, depths: Tensor) -> tuple[Tensor, Tensor]:
    coordinates = rays.at(depths)
    directions = rays.directions[:, :, None].expand_as(coordinates)
    opacities, features = query(coordinates.flatten(1, 2), directions.flatten(1, 2))
    return opacities.reshape(depths.shape), features.reshape(*depths.shape, -1)
