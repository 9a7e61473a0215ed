"""The point field and its volume rendering with everything folded that is linear: the same function, less work.

What is saved against the direct form (`point_field.py`, `volume.render_rays`):

- the last layer of each small network is linear, and so is what follows it: the point features' second layer goes into
  the decoder's first, the decoder's third into density and colour, and all but the three squashed channels of the
  colours' second layer are applied once per ray, after the accumulation;
- a ray's direction and a point's feature are multiplied with their weights once, not once per sample;
- samples outside the box, whose opacity is zero, are not decoded;
- samples that no point can reach skip the point features. The weights are inverse distances over the sum of a whole
  render, so they are minute but near the surface, and the features are bounded: what is skipped is proven to change
  the decoder's first layer by less than `REACH` of its mean magnitude.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import linear, normalize, softplus

from backend.avatars.gpavatar.nearest import nearest_points
from backend.avatars.gpavatar.point_field import (
    BOX,
    COLOURS,
    HIDDEN,
    SMALLEST_DISTANCE,
    PointField,
    harmonics,
    sample_planes,
)
from backend.avatars.gpavatar.style_unet import widen_colours
from backend.avatars.gpavatar.volume import Rays, VolumeRendering, coarse_depths, fine_depths, ray_weights

REACH = 1e-3
CHUNK = {"cpu": 1 << 14, "cuda": 1 << 19}
"""Samples decoded at once: what stays in a core's cache, or fills a GPU."""


class FoldedField:
    """A `PointField` for use, folded once.

    Args:
        field: its weights may be in half precision; distances and weights of points stay in float32.
    """

    @torch.no_grad()
    def __init__(self, field: PointField) -> None:
        dtype = next(field.rgb_layers.parameters()).dtype
        exact = {name: value.double() for name, value in field.state_dict().items()}

        def layer(name: str) -> tuple[Tensor, Tensor]:
            return exact[f"{name}.weight"], exact[f"{name}.bias"]

        (w1, b1), (w2, b2) = (layer(f"points_querier.point_layers.{i}") for i in (0, 2))
        embedding = exact["points_querier.points_feature.weight"]
        channels = embedding.shape[1]
        point_terms = embedding @ w1[:, :channels].T + b1
        direction_weight = w1[:, channels:]
        (f1, c1), (f2, c2), (f3, c3) = (layer(f"feature_layers.{i}") for i in (0, 2, 4))
        point_weight, point_bias = f1[:, channels:] @ w2, f1[:, channels:] @ b2
        (density, density_bias), (r1, e1), (r2, e2) = (
            layer(name) for name in ("density_layers.0", "rgb_layers.0", "rgb_layers.2")
        )
        heads = torch.cat([density, r1[:, :HIDDEN]])
        largest = (point_terms.amax(0) + direction_weight.abs().sum(1)).clamp(min=0)
        self.neighbours = field.points_querier.neighbours
        self.channels = channels
        self.reach = (point_weight.abs() @ largest + point_bias.abs()).max().item()
        """No point's share changes the decoder's first layer by more than this times its weight."""
        self._point_terms, self._direction_weight = point_terms.to(dtype), direction_weight.to(dtype)
        self._point_weight, self._point_bias = point_weight.to(dtype), point_bias.to(dtype)
        self._first = f1[:, :channels].to(dtype), c1.to(dtype)
        self._second = f2.to(dtype), c2.to(dtype)
        self._heads = (heads @ f3).to(dtype), (heads @ c3 + torch.cat([density_bias, e1])).to(dtype)
        self._ray_weight = r1[:, HIDDEN:].to(dtype)
        self._colours = r2[:COLOURS].to(dtype), e2[:COLOURS].to(dtype)
        self._others = r2[COLOURS:].to(dtype), e2[COLOURS:].to(dtype)

    @torch.inference_mode()
    def render(
        self, rays: Rays, points: Tensor, planes: Tensor, coarse_samples: int, fine_samples: int
    ) -> VolumeRendering:
        """As `volume.render_rays` of the direct field gives it, without the coarse picture, view by view.

        Args:
            rays: of N views.
            points: (P, 3), one head for all views.
            planes: (3, C, S, S).
        """
        views = [
            self._render_view(Rays(o[None], d[None]), points, planes, coarse_samples, fine_samples)
            for o, d in zip(rays.origins, rays.directions, strict=True)
        ]
        features, opacity, depth = (
            torch.cat([getattr(view, name) for view in views]) for name in ("features", "opacity", "depth")
        )
        return VolumeRendering(features, None, opacity, depth, torch.stack([view.farthest for view in views]).max())

    def _render_view(
        self, rays: Rays, points: Tensor, planes: Tensor, coarse_samples: int, fine_samples: int
    ) -> VolumeRendering:
        coarse_t = coarse_depths(rays, coarse_samples)
        samples = coarse_samples + fine_samples
        dtype = self._ray_weight.dtype
        hidden = torch.empty(coarse_t.shape[1], samples, len(self._ray_weight), dtype=dtype, device=points.device)
        opacities = self._decode(rays.at(coarse_t)[0], points, planes, hidden, 0)
        fine_t = fine_depths(coarse_t, ray_weights(opacities)[None], fine_samples)
        fine_opacities = self._decode(rays.at(fine_t)[0], points, planes, hidden, coarse_samples)
        depths, order = torch.cat([coarse_t, fine_t], -1)[0].sort(-1)
        sorted_weights = ray_weights(torch.cat([opacities, fine_opacities], -1).gather(-1, order))
        weights = torch.empty_like(sorted_weights).scatter_(-1, order, sorted_weights)
        features = self._accumulate(hidden, weights, rays.directions[0])
        opacity = weights.sum(-1, keepdim=True).clamp(0, 1)
        depth = (sorted_weights * depths).sum(-1, keepdim=True)
        return VolumeRendering(features[None], None, opacity[None], depth[None], depths.max())

    def _decode(self, coordinates: Tensor, points: Tensor, planes: Tensor, hidden: Tensor, offset: int) -> Tensor:
        """Opacities (R, S) of samples (R, S, 3).

        The colour layers' hidden units before the ray's share go to `hidden` (R, all samples, H) from `offset` on.
        """
        rays, samples = coordinates.shape[:2]
        flat = coordinates.flatten(0, 1)
        distances, index = (x[0] for x in nearest_points(flat[None], points[None], self.neighbours))
        weights = 1 / distances.clamp_(min=SMALLEST_DISTANCE)
        weights = weights.div_(weights.sum(0, dtype=torch.float64).float())
        within = (flat.abs() < BOX).all(-1)
        # Where each sample's hidden units lie.
        places = torch.arange(len(flat), device=flat.device)
        places = places // samples * hidden.shape[1] + places % samples + offset
        hidden = hidden.flatten(0, 1)
        hidden.index_fill_(0, places[~within], 0)
        opacities = flat.new_zeros(len(flat))
        for part in within.nonzero()[:, 0].split(CHUNK[flat.device.type]):
            first = linear(sample_planes(planes[None], flat[None, part])[0].to(hidden.dtype), *self._first)
            self._add_points(first, flat[part], points, weights[part], index[part])
            second = linear(first.relu_(), *self._second).relu_()
            result = linear(second, *self._heads)
            opacities[part] = 1 - (-softplus(result[:, 0].float(), beta=10.0)).exp()
            hidden[places[part]] = result[:, 1:]
        return opacities.reshape(rays, samples)

    def _add_points(self, first: Tensor, coordinates: Tensor, points: Tensor, weights: Tensor, index: Tensor) -> None:
        """Add the share of the nearest points to the decoder's first layer, where it can be told from zero."""
        total = weights.sum(-1)
        reached = (total * self.reach > REACH * first.abs().mean()).nonzero()[:, 0]
        if len(reached) == 0:
            return
        weights, index = weights[reached].to(first.dtype), index[reached]
        directions = normalize(coordinates[reached, None] - points[index], dim=-1)
        units = linear(harmonics(directions).to(first.dtype), self._direction_weight)
        units = units.add_(self._point_terms[index]).relu_()
        mixed = (weights[:, None] @ units)[:, 0]
        share = linear(mixed, self._point_weight) + total[reached, None].to(first.dtype) * self._point_bias
        first.index_add_(0, reached, share)

    def _accumulate(self, hidden: Tensor, weights: Tensor, directions: Tensor) -> Tensor:
        """Hidden units (R, S, H) and weights (R, S) to the rays' features (R, C)."""
        rays = linear(harmonics(directions).to(hidden.dtype), self._ray_weight)
        weight, bias = self._others
        features = []
        step = max(1, CHUNK[hidden.device.type] // hidden.shape[1])
        for units, ray, shares in zip(hidden.split(step), rays.split(step), weights.split(step), strict=True):
            units = units.add_(ray[:, None]).relu_()
            colours = widen_colours(linear(units, *self._colours).sigmoid())
            shares = shares[:, None].to(units.dtype)
            others = linear((shares @ units)[:, 0], weight) + shares.sum(-1) * bias
            features.append(torch.cat([(shares @ colours)[:, 0], others], -1))
        return torch.cat(features)
