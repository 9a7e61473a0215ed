"""`turboportrait bench gpavatar`: the paper's avatar stage, its folded form beside the direct one."""

from __future__ import annotations

import resource
from functools import partial

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from backend.avatars.gpavatar.avatar import Renderer
from backend.avatars.gpavatar.config import GPAvatarConfig
from backend.avatars.gpavatar.nearest import brute_force, nearest_points
from backend.avatars.gpavatar.network import GPAvatarNetwork
from backend.avatars.gpavatar.volume import Rays, VolumeRendering, coarse_depths, published_rays
from backend.bench.report import percentiles
from backend.bench.work import seconds_of

VIEWS = 2
DISTANCE = 11.0
"""Of the camera, in the box's unit: the head fills the trained framing."""
DIRECT_CHUNK = 1 << 15


def random_network() -> GPAvatarNetwork:
    """The network as training would begin, but for a density that is neither empty nor solid."""
    network = GPAvatarNetwork(GPAvatarConfig()).eval().requires_grad_(False)
    _, bias = network.nerf_mlp.density_layers.parameters()
    bias.fill_(0.1)
    return network


def product_figures(renderer: Renderer, repeats: int) -> dict:
    """Milliseconds of registration's encoder and of two whole views, and the peak memory of both."""
    config = renderer.config
    portraits = torch.rand(1, 3, config.portrait_size, config.portrait_size)
    encoder_noise = renderer.noise("style_tplane", 0)
    picture_noise = renderer.noise("up_renderer", 0)
    if renderer.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    encode = partial(renderer.build_planes, portraits, encoder_noise)
    planes = encode()
    rays, points = head_views(config, VIEWS), head_cloud(config)
    views = partial(renderer.render, rays, points, planes, picture_noise)
    views()
    figures = {
        name: percentiles([seconds_of(work, renderer.device) for _ in range(repeats)])
        for name, work in (("encoder", encode), ("two_views", views))
    }
    return figures | {"peak_memory_gb": round(peak_memory(renderer.device), 2)}


@torch.inference_mode()
def side_by_side(renderer: Renderer, repeats: int) -> dict:
    """One view's volume rendering, folded and direct, in seconds, and how far the two agree."""
    config, network = renderer.config, renderer.network
    to = partial(torch.Tensor.to, device=renderer.device)
    rays = head_views(config, 1)
    rays = Rays(to(rays.origins), to(rays.directions))
    points = to(head_cloud(config))
    planes = renderer.build_planes(torch.rand(1, 3, config.portrait_size, config.portrait_size), None)

    def folded() -> VolumeRendering:
        return renderer.field.render(rays, points, planes, config.coarse_samples, config.fine_samples)

    def directly() -> VolumeRendering:
        return network.render_features(rays, points[None], planes[None], chunk=DIRECT_CHUNK, search=brute_force)

    coordinates = rays.at(coarse_depths(rays, config.coarse_samples)).flatten(1, 2)
    ours = folded()
    theirs: list[VolumeRendering] = []
    if renderer.device.type == "cuda":
        directly()
    timed = partial(seconds_of, device=renderer.device)
    seconds: dict[str, list[float]] = {"folded": [], "direct": [], "nearest_folded": [], "nearest_direct": []}
    slow_repeats = repeats if renderer.device.type == "cuda" else 1
    for repeat in range(repeats):
        seconds["folded"].append(timed(folded))
        seconds["nearest_folded"].append(
            2 * timed(partial(nearest_points, coordinates, points[None], config.neighbours))
        )
        if repeat < slow_repeats:
            seconds["direct"].append(timed(lambda: theirs.append(directly())))
            seconds["nearest_direct"].append(
                2 * timed(partial(brute_force, coordinates, points[None], config.neighbours))
            )
    medians = {name: float(np.median(values)) for name, values in seconds.items()}
    right = theirs[-1].features.double()
    error = (ours.features.double() - right).norm() / right.norm()
    return {f"{name}_s": round(value, 4) for name, value in medians.items()} | {
        "ratio": round(medians["direct"] / medians["folded"], 1),
        "relative_difference": float(f"{error.item():.1e}"),
    }


def head_views(config: GPAvatarConfig, count: int) -> Rays:
    """Rays of cameras that stand around the head, 20 degrees apart."""
    transforms = []
    for index in range(count):
        angle = np.radians(20 * (index - (count - 1) / 2))
        turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
        transforms.append(np.hstack([turn @ np.diag([-1.0, 1, -1]), [[0], [0], [DISTANCE]]]))
    return published_rays(
        torch.tensor(np.array(transforms), dtype=torch.float32), config.render_size, config.focal_length
    )


def head_cloud(config: GPAvatarConfig) -> torch.Tensor:
    """Points (P, 3) on an ellipsoid as large as a head."""
    generator = torch.Generator().manual_seed(0)
    points = torch.nn.functional.normalize(torch.randn(config.points, 3, generator=generator), dim=-1)
    return points * torch.tensor([0.4, 0.6, 0.5])


def peak_memory(device: torch.device) -> float:
    """Gigabytes: on a GPU what torch held at most, on a CPU the whole process's largest resident set."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def device_name(device: str) -> str:
    """The GPU's name, or "cpu"."""
    return torch.cuda.get_device_name() if device == "cuda" else device


def print_report(report: dict) -> None:
    table = Table("", "p50", "p95", title=f"GPAvatar on {report['machine']}, {report['device']}", title_justify="left")
    for key, name in (("encoder", "encoder, one portrait"), ("two_views", "two views, 512x512")):
        table.add_row(name, *(f"{report[key][p]:.1f} ms" for p in ("p50_ms", "p95_ms")))
    console = Console()
    console.print(table)
    console.print(f"peak memory {report['peak_memory_gb']} GB")
    if found := report.get("volume_rendering"):
        console.print(
            f"volume rendering of one view: direct {found['direct_s']} s (nearest points {found['nearest_direct_s']}), "
            f"folded {found['folded_s']} s (nearest points {found['nearest_folded_s']}): "
            f"{found['ratio']} times faster, relative difference {found['relative_difference']:.0e}",
            soft_wrap=True,
        )
