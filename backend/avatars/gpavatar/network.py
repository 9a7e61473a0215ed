"""The published network, whole: a portrait to tri-planes, tri-planes and points to a picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from backend.avatars.gpavatar.config import GPAvatarConfig
from backend.avatars.gpavatar.merge import PlaneAttention
from backend.avatars.gpavatar.nearest import nearest_points
from backend.avatars.gpavatar.point_field import PointField, inverse_sums
from backend.avatars.gpavatar.style_unet import ModulatedConvolution, StyleUNet
from backend.avatars.gpavatar.volume import Rays, VolumeRendering, render_rays
from backend.models.memory_format import NetworkT, in_memory_format


class GPAvatarNetwork(nn.Module):
    """GPAvatar (Chu et al., ICLR 2024; arXiv 2401.10215). Its state dict has the published checkpoint's keys."""

    def __init__(self, config: GPAvatarConfig = GPAvatarConfig()) -> None:
        super().__init__()
        self.config = config
        channels, style, width = config.channels, config.style_features, config.width
        self.style_tplane = StyleUNet(
            config.portrait_size, config.plane_size, 3, 3 * channels, style, width, colours=False
        )
        self.nerf_mlp = PointField(config.points, channels, config.neighbours)
        self.up_renderer = StyleUNet(config.image_size, config.image_size, channels, 3, style, width)
        self.query_style_tplane = nn.Parameter(torch.randn(1, 1, 3, channels, config.plane_size, config.plane_size))
        self.attn_module = PlaneAttention(channels)

    @classmethod
    def from_file(cls, path: str | Path, config: GPAvatarConfig = GPAvatarConfig()) -> GPAvatarNetwork:
        """The network with weights from a safetensors file, ready for use.

        Raises:
            RuntimeError: the file's tensors are not those of this network.
        """
        with torch.device("meta"):
            network = cls(config)
        network.load_state_dict(load_file(path), assign=True)
        return network.eval().requires_grad_(False)

    def encode(self, portraits: Tensor | Sequence[Tensor], noise: Sequence[Tensor] | None = None) -> Tensor:
        """Tri-planes of each portrait.

        Args:
            portraits: P of (3, S, S) in [0, 1], over black, warped by `cameras.rectify`; S is `portrait_size`.
            noise: see `StyleUNet.forward`.

        Returns:
            (P, 3, C, plane_size, plane_size).

        Raises:
            ValueError: no portrait, or one of another shape or with numbers that are not finite.
        """
        portraits = self._checked(portraits)
        # The planes' rows run along y upwards, an image's rows downwards.
        return self.style_tplane(portraits.flip(-2), noise).unflatten(1, (3, -1))

    def merge(self, planes: Tensor) -> Tensor:
        """The planes (P, 3, C, S, S) of P portraits of one person to (3, C, S, S)."""
        if planes.ndim != 5 or len(planes) == 0:
            raise ValueError(f"planes are (P, 3, C, S, S) with P at least 1, not {tuple(planes.shape)}")
        check_finite(planes, "tri-planes")
        return self.attn_module(self.query_style_tplane, planes[None])[0]

    def render_features(
        self,
        rays: Rays,
        points: Tensor,
        planes: Tensor,
        generator: torch.Generator | None = None,
        chunk: int | None = None,
        search: Callable[[Tensor, Tensor, int], tuple[Tensor, Tensor]] = nearest_points,
    ) -> VolumeRendering:
        """The volume rendering in the direct form, differentiable.

        Args:
            rays, generator: see `render_rays`.
            points, planes: see `PointField.forward`.
            chunk: samples decoded at once; all if None. The result is the same: the distances' sums stay whole.
            search: finds the nearest points.
        """
        field = self.nerf_mlp

        def query(coordinates: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
            distances, index = search(coordinates, points, self.config.neighbours)
            sums = inverse_sums(distances)
            parts = [
                field(x, d, points, planes, (near, i), sums)
                for x, d, near, i in zip(
                    *(t.split(chunk or t.shape[1], 1) for t in (coordinates, directions, distances, index)), strict=True
                )
            ]
            return torch.cat([o for o, _ in parts], 1), torch.cat([f for _, f in parts], 1)

        return render_rays(rays, query, self.config.coarse_samples, self.config.fine_samples, generator)

    def picture(self, features: Tensor, noise: Sequence[Tensor] | None = None) -> Tensor:
        """Feature images (N, C, render_size, render_size) to pictures (N, 3, image_size, image_size) over black."""
        return self.up_renderer(features, noise)

    def _checked(self, portraits: Tensor | Sequence[Tensor]) -> Tensor:
        wanted = (3, self.config.portrait_size, self.config.portrait_size)
        if len(portraits) == 0:
            raise ValueError(f"there is no portrait: give at least one of {wanted}")
        for index, portrait in enumerate(portraits):
            if tuple(portrait.shape) != wanted:
                raise ValueError(
                    f"portrait {index} is {tuple(portrait.shape)}, not {wanted}: bring all of them to one size"
                )
        portraits = torch.stack(list(portraits))
        check_finite(portraits, "portraits")
        return portraits


def channels_last(network: NetworkT) -> NetworkT:
    """Bring all convolutions' weights into the order that is fastest for them, in place."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            in_memory_format(module, torch.channels_last)
        elif isinstance(module, ModulatedConvolution):
            module.weight.data = module.weight.data[0].contiguous(memory_format=torch.channels_last)[None]
    return network


def check_finite(values: Tensor, name: str) -> None:
    """Raises ValueError where a tensor holds NaN or infinity."""
    if not torch.isfinite(values).all():
        raise ValueError(f"the {name} hold numbers that are not finite")
