"""Colours where the photo shows none: low frequencies from around, strands and folds from what is known."""

from __future__ import annotations

import cv2
import numpy as np
from scipy import sparse
from scipy.sparse.linalg import factorized

LEVELS = 9
PATCH = 96
"""Texels along a patch's sides."""
SOFT = 3.0
"""Texels, at half the size, of the blur that takes the detail out of what is known."""
ENOUGH = 0.02
"""Weight of a neighbourhood from which its mean counts wholly."""


def pull_push(image: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Known pixels carried into the unknown by a pyramid (Gortler et al. 1996, section 4.5), periodic in x.

    Args:
        image: (H, W, C) float32. weight: (H, W) float32 in [0, 1], how far a pixel is known.

    Returns:
        (H, W, C) float32, smooth: what is known without its detail, carried into the unknown.
    """
    whole = weight.shape[::-1]
    image, weight = cv2.pyrDown(image * weight[..., None]), cv2.pyrDown(weight)
    image = image / np.maximum(weight, 1e-6)[..., None]
    width = weight.shape[1]
    # The seam is laid where most is known, with a quarter turn more on both sides.
    margin, half = width // 4, width // 2
    wrap = lambda a: np.concatenate([(a := np.roll(a, half, 1))[:, -margin:], a, a[:, :margin]], 1)  # noqa: E731
    level, known = wrap(image * weight[..., None]), wrap(weight)
    stack = []
    for _ in range(LEVELS):
        stack.append((level, known))
        if min(known.shape) < 4:
            break
        level, known = cv2.pyrDown(level), cv2.pyrDown(known)
    level, known = stack.pop()
    result = level / np.maximum(known, 1e-6)[..., None]
    total = known[..., None]
    if known.max() <= 1e-6:
        return np.zeros((*whole[::-1], image.shape[2]), np.float32)
    mean = (level * 1.0).sum((0, 1)) / known.sum()
    result = np.where(total > 1e-6, result, mean).astype(np.float32)
    while stack:
        level, known = stack.pop()
        coarse = cv2.pyrUp(result, dstsize=known.shape[::-1])
        share = np.clip(known / ENOUGH, 0, 1)[..., None] if len(stack) else known[..., None]
        here = level / np.maximum(known, 1e-6)[..., None]
        result = (here * share + coarse * (1 - share)).astype(np.float32)
    result = cv2.GaussianBlur(np.roll(result[:, margin : margin + width], -half, 1), (0, 0), SOFT)
    return cv2.resize(result, whole, interpolation=cv2.INTER_LINEAR)


def continue_detail(detail: np.ndarray, known: np.ndarray, seed: int = 0) -> np.ndarray:
    """High frequencies as in the known part, everywhere: overlapping patches of it whose variance is kept.

    After Heitz and Neyret 2018, "High-performance by-example noise using a histogram-preserving blending operator",
    with a square grid and patches from nearby rows, so that strands keep their direction. Periodic in x.

    Args:
        detail: (H, W, C) float32, of zero mean. known: (H, W) bool, where it may be taken from.

    Returns:
        (H, W, C) float32.
    """
    height, width = known.shape
    generator = np.random.default_rng(seed)
    result = np.zeros((height, width + PATCH, detail.shape[2]), np.float32)
    square = np.zeros((height, width + PATCH), np.float32)
    window = np.outer(np.hanning(PATCH + 2)[1:-1], np.hanning(PATCH + 2)[1:-1]).astype(np.float32)
    share = cv2.boxFilter(known.astype(np.float32), -1, (PATCH, PATCH), anchor=(0, 0), borderType=cv2.BORDER_CONSTANT)
    share = share[: height - PATCH + 1, : width - PATCH + 1]
    for enough in (0.97, 0.85, 0.6, 0.3):
        tops, lefts = np.nonzero(share[::4, ::4] >= enough)
        if len(tops) > 20:
            break
    else:
        return result[:, :width]
    tops, lefts = tops * 4, lefts * 4
    masked = detail * known[..., None]
    half = PATCH // 2
    for top in range(-half, height, half):
        nearest = np.abs(tops - top)
        candidates = np.flatnonzero(nearest <= nearest.min() + half)
        for left in range(0, width, half):
            chosen = candidates[generator.integers(len(candidates))]
            y, x = tops[chosen], lefts[chosen]
            mirrored = generator.random() < 0.3
            patch = masked[y : y + PATCH, x : x + PATCH]
            patch = patch[:, ::-1] if mirrored else patch
            first, last = max(top, 0), min(top + PATCH, height)
            rows = slice(first - top, last - top)
            result[first:last, left : left + PATCH] += patch[rows] * window[rows, :, None]
            square[first:last, left : left + PATCH] += window[rows] ** 2
    result[:, :PATCH] += result[:, width:]
    square[:, :PATCH] += square[:, width:]
    return result[:, :width] / np.sqrt(np.maximum(square[:, :width, None], 1e-3))


def fill_vertices(
    faces: np.ndarray, normals: np.ndarray, vertices: np.ndarray, colors: np.ndarray, weight: np.ndarray
) -> np.ndarray:
    """Colours of a mesh's vertices: as known, elsewhere as one skin in the photo's light, joined without a step.

    Known colours are explained by one albedo under a light of first order in the normal (Ramamoorthi and Hanrahan
    2001); what that leaves is carried on over the mesh and fades with distance.

    Args:
        normals: (n, 3) unit. colors: (n, 3) float sRGB 0..255. weight: (n,) in [0, 1], how far they are known.

    Returns:
        (n, 3) float64.
    """
    basis = np.column_stack([np.ones(len(normals)), normals])
    scaled = basis * weight[:, None]
    ridge = np.diag([1e-3, 0.6, 0.6, 0.6]) * max(weight.sum(), 1.0)
    logs = np.log(np.maximum(colors, 4.0))
    coefficients = np.linalg.solve(scaled.T @ basis + ridge, scaled.T @ logs)
    lit = coefficients[0] + np.clip(basis[:, 1:] @ coefficients[1:], *SHADE)
    residual = logs - lit
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    length = np.linalg.norm(vertices[edges[:, 0]] - vertices[edges[:, 1]], axis=1)
    conductance = sparse.coo_matrix((np.ones(len(edges)), edges.T), (len(vertices),) * 2)
    conductance = conductance + conductance.T
    mean = float(np.median(length))
    laplacian = sparse.diags(np.asarray(conductance.sum(1)).ravel()) - conductance
    fade = (mean / FADE_DISTANCE) ** 2 * 6
    system = laplacian + sparse.diags(fade + 30 * weight**2)
    solve = factorized(system.tocsc())
    carried = np.stack([solve(30 * weight**2 * residual[:, c]) for c in range(3)], 1)
    return np.clip(np.exp(lit + carried), 0, 255)


SHADE = (-0.22, 0.15)
"""Natural logarithms of how much darker and brighter than the mean skin may become that the photo does not show."""
FADE_DISTANCE = 0.06
"""Metres over which what sets known skin apart from the mean skin is carried on."""
