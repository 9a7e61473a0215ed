"""Colours where the photo shows none: low frequencies from around, strands and folds from what is known."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
from scipy import ndimage, sparse
from scipy.sparse.linalg import factorized

LEVELS = 9
PATCH_KNOWN, LEAST_PATCHES = (0.97, 0.85, 0.6, 0.3), 200
"""Shares of a patch that are known, the first of which there are more than some patches of."""
SOFT = 3.0
"""Texels, at half the size, of the blur that takes the detail out of what is known."""
ENOUGH = 0.02
"""Weight of a neighbourhood from which its mean counts wholly."""


OPPONENT = np.array([[0.3, 0.6, -0.5], [0.6, -0.6, -0.5], [0.1, 0.0, 1.0]], np.float32)
"""sRGB to brightness, red against green and blue against yellow."""
MOST_SAMPLES = 20_000
ALIKE = np.array([25.0, 8.0, 10.0], np.float32)
"""Differences of brightness and of two opponent colours from which on colours are unlike."""
TYPICAL, LEAST_SPREAD, LEAST_COUNT = 2.5, np.array([25.0, 4.0, 5.0], np.float32), 50


STRAND_WIDTHS = (0.7, 1.5, 3.0, 6.0, 12.0)
"""Texels: the Gaussians between which strands' contrast is measured and made."""
STRAND_CONTRAST = (1.0, 2.0, 2.5, 2.5)
"""Standard deviations between those Gaussians that hair has at least; the photo may show too little of it to tell."""
MOST_CONTRAST = 3.0
"""Times that least which they have at most: a lock's shadow is not every strand's."""
STRAND_LENGTH = ((0.56, 0.74), (3.0, 60.0))
"""Coherence of the structure tensor, and texels of Gaussian that draw strands out there."""
PORES, PORE_SIZES, PORE_ROWS, USUAL_SKIN, MOST_PORES = 0.4, (1.0, 4.0), 8, 25, 1.5
"""How much of the photo's fine contrast skin has that it does not show, the texels of the Gaussians between which it
lies, the rows over which it changes, the percentile of it that is skin's, not a feature's, and what a row may have of
what rows have in the middle."""
SWAY, SWAY_SCALE = 18.0, (80, 40)
"""Texels by which strands sway aside, and over which they do."""


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


def typical(colors: np.ndarray, weight: np.ndarray, asked: np.ndarray | None = None) -> np.ndarray:
    """How far colours (..., 3) are like most of those that count, (...) in [0, 1]: rims of light and what shines
    through from behind are not, and must not be carried over half a head.

    Distances are in robust standard deviations of brightness and of two opponent colours.

    Args:
        asked: (...) bool, for which of them; 1 for the others. None for all that have a weight.
    """
    result = np.ones(weight.shape, np.float32)
    counts = colors[weight > 0.5]
    if len(counts) < LEAST_COUNT:
        return result
    samples = counts[:: max(len(counts) // MOST_SAMPLES, 1)].astype(np.float32) @ OPPONENT
    middle = np.median(samples, 0)
    spread = 1.4826 * np.median(np.abs(samples - middle), 0)
    asked = weight > 0 if asked is None else asked
    distance = (colors[asked].astype(np.float32) @ OPPONENT - middle) / (TYPICAL * np.maximum(spread, LEAST_SPREAD))
    squared = distance * distance
    result[asked] = 1 / (1 + (squared * squared).sum(-1))
    return result


def alike(colors: np.ndarray, others: np.ndarray) -> np.ndarray:
    """How far colours (..., 3) are like others, (...) in [0, 1]."""
    distance = ((colors - others) @ OPPONENT / ALIKE) ** 2
    return 1 / (1 + distance.sum(-1) ** 2)


def patches(known: np.ndarray, size: tuple[int, int], share: float) -> np.ndarray:
    """(n, 2): top and left of the patches of this height and width of which a share is known, on every fourth texel."""
    tall, wide = size
    mean = cv2.boxFilter(known.astype(np.float32), -1, (wide, tall), anchor=(0, 0), borderType=cv2.BORDER_CONSTANT)
    rows, columns = (whole - own + 1 for whole, own in zip(known.shape, size, strict=True))
    return 4 * np.argwhere(mean[:rows:4, :columns:4] >= share)


def continue_detail(detail: np.ndarray, known: np.ndarray, size: tuple[int, int], seed: int = 0) -> np.ndarray:
    """High frequencies as in the known part, everywhere: overlapping patches of it whose variance is kept.

    After Heitz and Neyret 2018, "High-performance by-example noise using a histogram-preserving blending operator",
    with a rectangular grid and patches from nearby rows, so that strands keep their direction. Periodic in x.

    Args:
        detail: (H, W, C) float32, of zero mean. known: (H, W) bool, where it may be taken from.
        size: texels of a patch's height and width.

    Returns:
        (H, W, C) float32.
    """
    (height, width), (tall, wide) = known.shape, size
    result = np.zeros((height, width + wide, detail.shape[2]), np.float32)
    square = np.zeros((height, width + wide), np.float32)
    window = np.outer(np.hanning(tall + 2)[1:-1], np.hanning(wide + 2)[1:-1]).astype(np.float32)
    for share in PATCH_KNOWN:
        corners = patches(known, size, share)
        if len(corners) > LEAST_PATCHES:
            break
    else:
        return result[:, :width]
    generator = np.random.default_rng(seed)
    masked = detail * known[..., None]
    for top in range(-tall // 2, height, tall // 2):
        far = np.abs(corners[:, 0] - top)
        candidates = corners[far <= max(far.min() + tall // 2, np.partition(far, LEAST_PATCHES)[LEAST_PATCHES])]
        for left in range(0, width, wide // 2):
            y, x = candidates[generator.integers(len(candidates))]
            mirrored = generator.random() < 0.3
            patch = masked[y : y + tall, x : x + wide]
            patch = patch[:, ::-1] if mirrored else patch
            first, last = max(top, 0), min(top + tall, height)
            rows = slice(first - top, last - top)
            result[first:last, left : left + wide] += patch[rows] * window[rows, :, None]
            square[first:last, left : left + wide] += window[rows] ** 2
    result[:, :wide] += result[:, width:]
    square[:, :wide] += square[:, width:]
    return result[:, :width] / np.sqrt(np.maximum(square[:, :width, None], 1e-3))


def strands(detail: np.ndarray, known: np.ndarray, longest: float, seed: int = 0) -> np.ndarray:
    """Hair's high frequencies, everywhere: noise drawn out downwards, with the contrast of the known part.

    Straight hair is known by the coherence of its structure tensor; the less coherent it is, the shorter are the
    strands, down to the grain of tight curls. Periodic in x.

    Args:
        detail: (H, W, 3) float32, of zero mean. known: (H, W) bool, where it may be measured.
        longest: texels of Gaussian that strands are drawn out at most.

    Returns:
        (H, W, 3) float32.
    """
    measured = known.sum() >= LEAST_COUNT
    tint = _main_axis(detail[known]) if measured else np.full(3, 3**-0.5, np.float32)
    grey = detail @ tint
    length = min(float(np.interp(_coherence(grey, known), *STRAND_LENGTH)) if measured else np.inf, longest)
    generator = np.random.default_rng(seed)
    height, width = known.shape
    result = np.zeros((height, width), np.float32)
    inner = cv2.erode(known.astype(np.uint8), np.ones((5, 5))) > 0
    inner = inner if inner.sum() >= LEAST_COUNT else known
    for (fine, coarse), least in zip(pairwise(STRAND_WIDTHS), STRAND_CONTRAST, strict=True):
        band = cv2.GaussianBlur(grey, (0, 0), fine) - cv2.GaussianBlur(grey, (0, 0), coarse)
        drawn = drawn_noise(generator, (height, width), max(length, fine), fine, coarse)
        shown = band[inner].std() if measured else 0
        result += drawn / drawn.std() * np.clip(shown, least, MOST_CONTRAST * least)
    sway = drawn_noise(generator, (height, width), *SWAY_SCALE, np.inf)
    rows, columns = np.indices(known.shape, np.float32)
    columns = (columns + SWAY * sway / sway.std()) % (known.shape[1] - 1)
    return cv2.remap(result, columns, rows, cv2.INTER_LINEAR)[..., None] * tint


def pores(photo: np.ndarray, known: np.ndarray, seed: int = 0) -> np.ndarray:
    """Skin's finest detail, everywhere: noise with the contrast that pores or stubble have at that height.

    Args:
        photo: (H, W, 3) float32, a face's chart. known: (H, W) bool, where it shows skin undistorted.

    Returns:
        (H, W, 3) float32, zeros where little is known.
    """
    if known.sum() < LEAST_COUNT:
        return np.zeros_like(photo)
    detail = photo - cv2.GaussianBlur(photo, (0, 0), PORE_SIZES[1])
    contrast = cv2.GaussianBlur((detail**2).sum(-1), (0, 0), 2 * PORE_SIZES[1])
    rows = np.flatnonzero(known.sum(1) > LEAST_COUNT)[::PORE_ROWS]
    # Eyes, brows and lips have more than most of what is at their height.
    usual = np.sqrt([np.percentile(contrast[row][known[row]], USUAL_SKIN) for row in rows])
    usual = np.minimum(usual, MOST_PORES * np.median(usual))
    usual = np.interp(np.arange(len(photo)), rows, ndimage.gaussian_filter1d(usual, 1.0, mode="nearest"))
    noise = np.random.default_rng(seed).standard_normal(known.shape).astype(np.float32)
    noise = cv2.GaussianBlur(noise, (0, 0), PORE_SIZES[0]) - cv2.GaussianBlur(noise, (0, 0), PORE_SIZES[1])
    noise *= PORES * usual[:, None].astype(np.float32) / noise.std()
    return noise[..., None] * _main_axis(detail[known])


def _main_axis(samples: np.ndarray) -> np.ndarray:
    """The unit colour (3,) float32 along which samples (n, 3) vary most."""
    _, vectors = np.linalg.eigh(samples.T @ samples / len(samples))
    return (vectors[:, -1] * np.sign(vectors[:, -1].sum() or 1)).astype(np.float32)


def drawn_noise(
    generator: np.random.Generator, shape: tuple[int, int], length: float, fine: float, coarse: float
) -> np.ndarray:
    """Noise (H, W) between two Gaussians in x and smooth in y; periodic in x. Made small and enlarged, where smooth."""
    height, width = shape
    step_y, step_x = max(int(length / 3), 1), max(int(fine / 3), 1)
    noise = generator.standard_normal((-(-height // step_y), -(-width // step_x)))
    noise = ndimage.gaussian_filter1d(noise, length / step_y, axis=0)
    drawn = ndimage.gaussian_filter1d(noise, fine / step_x, axis=1, mode="wrap")
    if np.isfinite(coarse):
        drawn = drawn - ndimage.gaussian_filter1d(noise, coarse / step_x, axis=1, mode="wrap")
    return cv2.resize(drawn.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)


def _coherence(grey: np.ndarray, known: np.ndarray) -> float:
    """0 for structure in no direction to 1 for one alone, in the mean over the known part (H, W)."""
    x, y = cv2.Sobel(grey, -1, 1, 0), cv2.Sobel(grey, -1, 0, 1)
    xx, xy, yy = (cv2.GaussianBlur(a, (0, 0), 5.0) for a in (x * x, x * y, y * y))
    coherence = np.hypot(xx - yy, 2 * xy) / np.maximum(xx + yy, 1e-6)
    return float(coherence[known].mean())


def smooth_vertices(faces: np.ndarray, values: np.ndarray, rounds: int) -> np.ndarray:
    """Values (n,) at a mesh's vertices, averaged with those of their neighbours as often as is said."""
    edges = _edges(faces)
    neighbours = _joined(edges, np.ones(len(edges)), len(values))
    count = np.asarray(neighbours.sum(1)).ravel()
    for _ in range(rounds):
        values = np.where(count > 0, 0.5 * values + 0.5 * (neighbours @ values) / np.maximum(count, 1), values)
    return values


def _grown(faces: np.ndarray, values: np.ndarray, rings: int) -> np.ndarray:
    """The greatest of the values (n,) within some rings of neighbours."""
    for _ in range(rings):
        greatest = values.copy()
        np.maximum.at(greatest, faces.ravel(), np.repeat(values[faces].max(1), 3))
        values = greatest
    return values


def _edges(faces: np.ndarray) -> np.ndarray:
    """(3 F, 2): the ends of each face's sides."""
    return np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])


def _joined(edges: np.ndarray, weight: np.ndarray, count: int) -> sparse.csr_matrix:
    """(count, count), symmetric: the weights (n,) of the edges (n, 2) that join two vertices."""
    joined = sparse.coo_matrix((weight, edges.T), (count, count))
    return (joined + joined.T).tocsr()


def fill_vertices(
    faces: np.ndarray,
    normals: np.ndarray,
    vertices: np.ndarray,
    openness: np.ndarray,
    along: np.ndarray,
    colors: np.ndarray,
    weight: np.ndarray,
) -> np.ndarray:
    """Colours of a mesh's vertices: as known, elsewhere as one skin in the photo's light, joined without a step.

    Known colours are explained by one albedo under a light of first order in the normal (Ramamoorthi and Hanrahan
    2001); what that leaves is carried on over the mesh and fades with distance.

    Args:
        normals: (n, 3) unit. openness: (n,) in [0, 1], see `ambient_occlusion`.
        along: (n, 3), along which what is known goes on farther, the more so the longer it is.
        colors: (n, 3) float sRGB 0..255. weight: (n,) in [0, 1], how far they are known.

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
    edges = _edges(faces)
    step = vertices[edges[:, 0]] - vertices[edges[:, 1]]
    length = np.linalg.norm(step, axis=1)
    aligned = (step * along[edges].mean(1)).sum(1) / np.maximum(length, 1e-9)
    conductance = _joined(edges, 1 + CONDUCTS_ALONG * aligned**2, len(vertices))
    laplacian = sparse.diags(np.asarray(conductance.sum(1)).ravel()) - conductance
    fade = (float(np.median(length)) / FADE_DISTANCE) ** 2 * 6
    system = laplacian + sparse.diags(fade + 30 * weight**2)
    solve = factorized(system.tocsc())
    carried = np.stack([solve(30 * weight**2 * residual[:, c]) for c in range(3)], 1)
    # What the photo shows has its shadows already.
    unseen = 1 - smooth_vertices(faces, _grown(faces, weight, UNSEEN_RINGS), UNSEEN_RINGS)
    light = np.log(np.maximum(openness, DARKEST))
    around = smooth_vertices(faces, light, AROUND_RINGS)
    shadow = OCCLUSION * around + FINE_OCCLUSION * (light - around)
    shadow = unseen[:, None] * shadow[:, None] * np.array(REDDENING)
    return np.clip(np.exp(lit + carried + shadow), 0, 255)


CONDUCTS_ALONG = 30.0
"""How much better than otherwise what sets known skin apart is carried along a jaw."""
SHADE = (-0.22, 0.15)
"""Natural logarithms of how much darker and brighter than the mean skin may become that the photo does not show."""
UNSEEN_RINGS = 3
"""Rings of neighbours around what the photo shows that keep its light: folds of lids and lips among them."""
OCCLUSION, FINE_OCCLUSION, DARKEST = 0.4, 0.9, 0.25
"""Exponents of the light that arrives, in sRGB values: of that around, which the photo's light has in part, and of what
a place has more or less of it, in the folds of an ear; and the least light, for skin lights skin."""
AROUND_RINGS = 40
"""Rings of neighbours that are a place's surroundings."""
REDDENING = (0.8, 1.05, 1.15)
"""Light scatters in skin: red, green and blue are darkened unequally where little arrives."""
FADE_DISTANCE = 0.06
"""Metres over which what sets known skin apart from the mean skin is carried on."""
