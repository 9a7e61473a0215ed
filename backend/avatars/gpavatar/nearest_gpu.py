"""The culled search for the nearest points as a Triton kernel; its CPU counterpart is in `nearest.py`.

A program takes a tile of samples that lie near each other. The best box bounds what any sample of it needs to look
at: some block lies wholly within that distance, and it holds more points than are asked for. Blocks beyond the bound,
or beyond the worst of what is found so far, are not opened.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from backend.avatars.gpavatar.nearest_blocks import sorted_blocks

TILE = 64
"""Samples per program."""
BLOCK = 64
"""Points per block."""
FARTHEST = tl.constexpr(3e38)


def culled_search(coordinates: Tensor, points: Tensor, neighbours: int) -> tuple[Tensor, Tensor]:
    """As `nearest.culled_search`: (M, 3) and (P, 3) to squared distances and indices (M, K), the nearest first.

    Raises:
        ValueError: K is no power of two up to a block's size, or there are fewer points than a block holds.
    """
    if neighbours & (neighbours - 1) or not 0 < neighbours <= BLOCK <= len(points):
        raise ValueError(f"cannot find {neighbours} of {len(points)} points in blocks of {BLOCK}")
    points = points.detach().float()
    order, boxes = sorted_blocks(points, BLOCK)
    queries = coordinates.detach().float().contiguous()
    count = len(queries)
    distances = torch.empty(count, neighbours, device=queries.device)
    indices = torch.empty(count, neighbours, dtype=torch.int32, device=queries.device)
    _search[(triton.cdiv(count, TILE),)](
        queries, points[order].contiguous(), boxes.contiguous(), distances, indices, count, len(points), len(boxes),
        TILE=TILE, BLOCK=BLOCK, NEIGHBOURS=neighbours, BOXES=triton.next_power_of_2(len(boxes)),
    )  # fmt: skip
    return distances, order[indices.long()]


@triton.jit
def _gap(low, high, other_low, other_high):
    """Between two intervals; zero where they overlap."""
    return tl.maximum(tl.maximum(low - other_high, other_low - high), 0.0)


@triton.jit
def _reach(low, high, other_low, other_high):
    """The largest distance between points of two intervals."""
    return tl.maximum(tl.abs(other_high - low), tl.abs(high - other_low))


@triton.jit
def _search(
    queries, points, boxes, distances, indices, count, total, box_count,
    TILE: tl.constexpr, BLOCK: tl.constexpr, NEIGHBOURS: tl.constexpr, BOXES: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0) * TILE + tl.arange(0, TILE)
    # The last tile repeats the last sample.
    safe = tl.minimum(row, count - 1)
    x = tl.load(queries + 3 * safe)
    y = tl.load(queries + 3 * safe + 1)
    z = tl.load(queries + 3 * safe + 2)
    x0, x1, y0, y1, z0, z1 = tl.min(x), tl.max(x), tl.min(y), tl.max(y), tl.min(z), tl.max(z)

    box = tl.arange(0, BOXES)
    # The last block may hold fewer points than are asked for, so its box promises nothing.
    known = box < total // BLOCK
    at = boxes + 6 * box
    dx = _reach(x0, x1, tl.load(at, mask=known, other=0.0), tl.load(at + 3, mask=known, other=0.0))
    dy = _reach(y0, y1, tl.load(at + 1, mask=known, other=0.0), tl.load(at + 4, mask=known, other=0.0))
    dz = _reach(z0, z1, tl.load(at + 2, mask=known, other=0.0), tl.load(at + 5, mask=known, other=0.0))
    bound = tl.min(tl.where(known, dx * dx + dy * dy + dz * dz, FARTHEST)) * 1.0001 + 1e-12

    slot = tl.arange(0, NEIGHBOURS)[None, :]
    best = tl.zeros([TILE, NEIGHBOURS], tl.float32) + bound
    index = tl.zeros([TILE, NEIGHBOURS], tl.int32)
    column = tl.arange(0, BLOCK)
    for block in range(0, box_count):
        corners = boxes + 6 * block
        gx = _gap(x0, x1, tl.load(corners), tl.load(corners + 3))
        gy = _gap(y0, y1, tl.load(corners + 1), tl.load(corners + 4))
        gz = _gap(z0, z1, tl.load(corners + 2), tl.load(corners + 5))
        if gx * gx + gy * gy + gz * gz < tl.max(best):
            point = block * BLOCK + column
            inside = point < total
            px = tl.load(points + 3 * point, mask=inside, other=0.0)
            py = tl.load(points + 3 * point + 1, mask=inside, other=0.0)
            pz = tl.load(points + 3 * point + 2, mask=inside, other=0.0)
            ex, ey, ez = x[:, None] - px[None, :], y[:, None] - py[None, :], z[:, None] - pz[None, :]
            squared = tl.where(inside[None, :], ex * ex + ey * ey + ez * ez, FARTHEST)
            taking = 1
            while taking > 0:
                nearest = tl.min(squared, axis=1)
                place = tl.argmin(squared, axis=1)
                taken = nearest < tl.max(best, axis=1)
                replaced = taken[:, None] & (slot == tl.argmax(best, axis=1)[:, None])
                best = tl.where(replaced, nearest[:, None], best)
                index = tl.where(replaced, (block * BLOCK + place)[:, None].to(tl.int32), index)
                squared = tl.where(column[None, :] == place[:, None], FARTHEST, squared)
                taking = tl.max(taken.to(tl.int32))

    for rank in range(0, NEIGHBOURS):
        chosen = slot == tl.argmin(best, axis=1)[:, None]
        tl.store(distances + row * NEIGHBOURS + rank, tl.min(best, axis=1), mask=row < count)
        tl.store(indices + row * NEIGHBOURS + rank, tl.sum(tl.where(chosen, index, 0), axis=1), mask=row < count)
        best = tl.where(chosen, FARTHEST, best)
