"""GPAvatar networks small enough for tests, with the published architecture."""

from __future__ import annotations

import torch

from backend.avatars.gpavatar.config import GPAvatarConfig
from backend.avatars.gpavatar.network import GPAvatarNetwork

TINY = GPAvatarConfig(
    points=200, channels=8, portrait_size=64, plane_size=32, render_size=16, image_size=64, coarse_samples=12,
    fine_samples=12, style_features=32, width=0.1,
)  # fmt: skip


def tiny_network(config: GPAvatarConfig = TINY, seed: int = 0) -> GPAvatarNetwork:
    """Random weights, with a density that is neither empty nor solid and point features that can be told apart."""
    torch.manual_seed(seed)
    network = GPAvatarNetwork(config).eval().requires_grad_(False)
    network.nerf_mlp.feature_layers[0].weight.mul_(4)
    network.nerf_mlp.points_querier.point_layers[2].weight.mul_(20)
    network.nerf_mlp.density_layers[0].weight.mul_(8)
    for name, value in network.named_parameters():
        if name.endswith(("style_conv1.weight", "style_convs.0.weight", "style_convs.1.weight")):
            value.fill_(0.3)
    return network


def head_cloud(count: int = TINY.points, seed: int = 0) -> torch.Tensor:
    """Points (P, 3) on an ellipsoid as large as a head in the box."""
    generator = torch.Generator().manual_seed(seed)
    points = torch.nn.functional.normalize(torch.randn(count, 3, generator=generator), dim=-1)
    return points * torch.tensor([0.4, 0.6, 0.5])
