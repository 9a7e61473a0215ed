"""The exact K nearest points of many samples: by brute force for comparison, by a culled search for use.

Distances are those of coordinate differences, never |a|^2 + |b|^2 - 2ab, whose float32 loses the near ones.
"""

from __future__ import annotations

import numba
import numpy as np
import torch
from torch import Tensor

from backend.avatars.gpavatar.nearest_blocks import boxes, sorted_blocks

BRUTE_FORCE_ELEMENTS = 1 << 26
"""Distances held at once by brute force."""
BLOCK = 16
"""Points per block of the culled search; as many blocks make a group."""
FARTHEST = np.float32(3e38)


def nearest_points(coordinates: Tensor, points: Tensor, neighbours: int) -> tuple[Tensor, Tensor]:
    """Squared distances (float32) and indices (int64), (N, M, K), the nearest first.

    Args:
        coordinates: (N, M, 3); samples that lie near each other are best given one after the other.
        points: (N, P, 3), P at least K.
        neighbours: K.
    """
    if coordinates.device.type == "cpu":
        search = culled_search
    else:
        # Triton comes with the builds of torch that know a GPU.
        from backend.avatars.gpavatar.nearest_gpu import culled_search as search
    found = [search(c, p, neighbours) for c, p in zip(coordinates, points, strict=True)]
    return torch.stack([d for d, _ in found]), torch.stack([i for _, i in found])


def brute_force(coordinates: Tensor, points: Tensor, neighbours: int) -> tuple[Tensor, Tensor]:
    """`nearest_points` by all distances."""
    coordinates, points = coordinates.detach().float(), points.detach().float()
    step = max(1, BRUTE_FORCE_ELEMENTS // (points.shape[0] * points.shape[1]))
    distances, indices = [], []
    for chunk in coordinates.split(step, dim=1):
        squared = sum((chunk[:, :, None, axis] - points[:, None, :, axis]).square_() for axis in range(3))
        found = squared.topk(neighbours, dim=-1, largest=False)
        distances.append(found.values)
        indices.append(found.indices)
    return torch.cat(distances, 1), torch.cat(indices, 1)


def culled_search(coordinates: Tensor, points: Tensor, neighbours: int) -> tuple[Tensor, Tensor]:
    """`nearest_points` of one head, (M, 3) and (P, 3), on the CPU.

    The points are sorted along a space-filling curve and boxed in blocks and groups of blocks; a sample starts from
    its predecessor's neighbours and opens only boxes that lie nearer than the worst of them.
    """
    order, blocks = sorted_blocks(points, BLOCK)
    ordered = points.detach().float()[order].T.contiguous().numpy()
    groups = boxes(points.detach().float()[order], BLOCK * BLOCK).numpy()
    queries = coordinates.detach().float().contiguous().numpy()
    distances = np.empty((len(queries), neighbours), np.float32)
    indices = np.empty((len(queries), neighbours), np.int64)
    _search(queries, ordered, blocks.numpy(), groups, distances, indices, 8 * numba.get_num_threads())
    return torch.from_numpy(distances), order[torch.from_numpy(indices)]


@numba.njit(cache=True, fastmath=True, inline="always")
def _box_distance(box, x, y, z):
    dx = max(box[0] - x, x - box[3], np.float32(0))
    dy = max(box[1] - y, y - box[4], np.float32(0))
    dz = max(box[2] - z, z - box[5], np.float32(0))
    return dx * dx + dy * dy + dz * dz


@numba.njit(cache=True, fastmath=True, inline="always")
def _insert(best, index, distance, point):
    """Put a point into a sorted list, whose last falls out."""
    place = len(best) - 1
    while place > 0 and best[place - 1] > distance:
        best[place] = best[place - 1]
        index[place] = index[place - 1]
        place -= 1
    best[place] = distance
    index[place] = point


@numba.njit(cache=True, fastmath=True, parallel=True)
def _search(queries, points, blocks, groups, distances, indices, pieces):
    count, neighbours = distances.shape
    total = points.shape[1]
    for piece in numba.prange(pieces):
        best = np.empty(neighbours, np.float32)
        index = np.empty(neighbours, np.int64)
        near = np.empty(BLOCK, np.float32)
        first = piece * count // pieces
        for q in range(first, (piece + 1) * count // pieces):
            x, y, z = queries[q]
            # The predecessor's neighbours bound the search; they are found again and not kept.
            bound = np.float32(0)
            if q > first:
                for k in range(neighbours):
                    p = index[k]
                    dx, dy, dz = points[0, p] - x, points[1, p] - y, points[2, p] - z
                    bound = max(bound, dx * dx + dy * dy + dz * dz)
                bound = bound * np.float32(1.0001) + np.float32(1e-12)
            else:
                bound = FARTHEST
            for k in range(neighbours):
                best[k] = bound
                index[k] = 0
            for group in range(len(groups)):
                if _box_distance(groups[group], x, y, z) > best[neighbours - 1]:
                    continue
                for block in range(group * BLOCK, min((group + 1) * BLOCK, len(blocks))):
                    if _box_distance(blocks[block], x, y, z) > best[neighbours - 1]:
                        continue
                    start = block * BLOCK
                    stop = min(start + BLOCK, total)
                    for i in range(stop - start):
                        dx, dy, dz = points[0, start + i] - x, points[1, start + i] - y, points[2, start + i] - z
                        near[i] = dx * dx + dy * dy + dz * dz
                    for i in range(stop - start):
                        if near[i] < best[neighbours - 1]:
                            _insert(best, index, near[i], start + i)
            for k in range(neighbours):
                distances[q, k] = best[k]
                indices[q, k] = index[k]
