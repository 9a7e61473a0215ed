"""Points sorted and boxed in blocks, for the searches of `nearest` and `nearest_gpu`."""

from __future__ import annotations

import torch
from torch import Tensor


def sorted_blocks(points: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """The order (P,) of points (P, 3) along a space-filling curve, and the boxes (B, 6) of every `size` of them."""
    points = points.detach().float()
    order = _morton_codes(points).argsort(stable=True)
    return order, boxes(points[order], size)


def _morton_codes(points: Tensor) -> Tensor:
    """Places (P,) along a Z-shaped curve of 1024 cells a side."""
    low, high = points.amin(0), points.amax(0)
    cells = ((points - low) / (high - low).clamp(min=1e-9) * 1023).long()
    bits = torch.arange(10, device=points.device)
    spread = ((cells[:, :, None] >> bits) & 1) << (3 * bits)
    return (spread.sum(-1) << torch.arange(3, device=points.device)).sum(-1)


def boxes(points: Tensor, size: int) -> Tensor:
    """Lower and upper corners (B, 6) of every `size` points; the last point fills up the last box."""
    missing = -len(points) % size
    blocks = torch.cat([points, points[-1:].expand(missing, -1)]).unflatten(0, (-1, size))
    return torch.cat([blocks.amin(1), blocks.amax(1)], -1)
