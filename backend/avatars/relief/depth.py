"""Depth for what the head mesh does not model: hair, hats, clothing, as a closed balloon over the matte.

The square of the distance to a middle plane obeys a Laplace equation with zero at the silhouette, which makes the edge
round; where a surface is known it is a fixed value, where one is only likely it is a soft target.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import spsolve


def solve_balloon(
    inside: np.ndarray, fixed: np.ndarray, target: np.ndarray, weight: np.ndarray, source: float
) -> np.ndarray:
    """Minimise |grad u|^2 + weight (u - target)^2 - 2 source u over a grid.

    Args:
        inside: (h, w) bool, the unknown nodes and the fixed ones among them.
        fixed: (h, w) float, values known exactly (Dirichlet), nan elsewhere. A neighbour outside `inside` that is not
            fixed lets u end freely (Neumann).
        target, weight: (h, w) soft targets and their weights (0: none).
        source: how much the balloon swells by itself.

    Returns:
        (h, w) float64, nan outside.
    """
    known = ~np.isnan(fixed)
    free = inside & ~known
    count = int(free.sum())
    out = fixed.copy()
    if not count:
        return out
    index = np.full(inside.shape, -1)
    index[free] = np.arange(count)
    diagonal = weight[free] + 1e-9
    right = weight[free] * target[free] + source
    rows, columns = [], []
    for here, there in _neighbours(inside.shape):
        a, b = index[here], index[there]
        linked = (a >= 0) & (b >= 0)
        rows.append(a[linked])
        columns.append(b[linked])
        bound = (a >= 0) & known[there]
        diagonal += np.bincount(a[linked], minlength=count) + np.bincount(a[bound], minlength=count)
        right += np.bincount(a[bound], fixed[there][bound], count)
    rows, columns = np.concatenate(rows), np.concatenate(columns)
    laplace = sp.csc_matrix((-np.ones(len(rows)), (rows, columns)), (count, count)) + sp.diags(diagonal).tocsc()
    out[free] = spsolve(laplace, right)
    return out


def _neighbours(shape: tuple[int, int]):
    h, w = shape
    for dy, dx in ((0, 1), (1, 0)):
        first = (slice(0, h - dy), slice(0, w - dx))
        second = (slice(dy, h), slice(dx, w))
        yield first, second
        yield second, first
