"""The atlas: where each surface lies in it, what the photo saw of a surface, and how its colours go on elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np

from backend.avatars.bust.chart import RadialChart
from backend.avatars.bust.fill import continue_detail, pull_push, typical
from backend.avatars.bust.islands import Box
from backend.avatars.bust.portrait import Portrait
from backend.geometry.smoothstep import smoothstep

SIZE = 2048
HEAD_BOX = Box(0, 0, 1408, 1024)
SMALL_BOX = Box(1408, 0, 640, 1024)
HAIR_BOX = Box(0, 1024, 1152, 1024)
TORSO_BOX = Box(1152, 1024, 896, 1024)
TEETH_BOX = Box(SMALL_BOX.left, SMALL_BOX.top + 640, 256, 256)
SEEN = (0.08, 0.35)
"""Cosines to the photo's ray between which a surface goes from not seen to seen."""
TRUSTED = (0.35, 0.65)
"""Cosines below which only colours like most of a surface's are taken for its own, and from which on all are."""
LENDS = 0.5
"""Cosine to the photo's ray from which a surface shows its strands and folds undistorted."""
FOLDS, FOLD = (5.0, 0.3), (96, 96)
"""Texels of blur that part folds of cloth from the colour under them, and the share of the known part's contrast that
made-up ones have: what is invented should not draw the eye; texels of the patches that folds are taken from."""
HALF = 0.5
LEAST_SEEN, ISLAND = 0.1, 0.02
"""How far a texel is seen to count for an island, and the share of the largest one's area below which one is noise."""
LEAST_WEIGHT = 0.003
"""What the usual counts beside what is seen nearby."""
FROM_ABOVE = 0.15
"""How much brighter what looks up is that the photo does not show than what it shows, as a share."""


@dataclass(frozen=True)
class Layer:
    """A surface's part of the atlas: rgba (H, W, 4) float32 in 0..255 and confidence (H, W) float32 in [0, 1]."""

    rgba: np.ndarray
    confidence: np.ndarray


class ChartTexels:
    """A radial surface's texels as the portrait sees them."""

    def __init__(self, points: np.ndarray, portrait: Portrait, box: Box):
        """`points` (rows, columns, 3) in head space."""
        normals = RadialChart.normals(points)
        facing = portrait.facing(points, normals)[..., None]
        grid = np.concatenate([portrait.camera.project(points), facing, normals[..., 1:2]], -1).astype(np.float32)
        rows, columns = points.shape[:2]
        self.box = box
        self.column = np.linspace(0, columns - 1, box.width, dtype=np.float32)
        self.row = np.linspace(0, rows - 1, box.height, dtype=np.float32)
        self._grid = np.meshgrid(self.column, self.row)
        texels = self.resample(grid)
        self.pixels, self.facing, self.upward = texels[..., :2], texels[..., 2], texels[..., 3]
        size = portrait.size
        self.azimuth = self.along_row(np.linspace(-np.pi, np.pi, columns))
        self.inside = ((self.pixels > 0) & (self.pixels < size)).all(-1)
        self.seen = smoothstep(self.facing, *SEEN) * self.inside

    def along_row(self, values: np.ndarray) -> np.ndarray:
        """Values (columns,) at the grid's columns to (W,) float32 at those of the texels."""
        return np.interp(self.column, np.arange(len(values)), values).astype(np.float32)

    def resample(self, grid: np.ndarray) -> np.ndarray:
        """Values (rows, columns, ...) at the grid's points to values at the texels."""
        columns, rows = self._grid
        return cv2.remap(grid.astype(np.float32), columns, rows, cv2.INTER_LINEAR)


def in_folds(
    photo: np.ndarray, known: np.ndarray, colors: np.ndarray, lends: np.ndarray, texels: ChartTexels
) -> np.ndarray:
    """See `continued`; in folds."""
    return continued(photo, known, colors, lends, texels, FOLDS, partial(continue_detail, size=FOLD))


def continued(
    photo: np.ndarray,
    known: np.ndarray,
    colors: np.ndarray,
    lends: np.ndarray,
    texels: ChartTexels,
    kind: tuple,
    invent: Callable,
) -> np.ndarray:
    """A chart's colours (H, W, 3): the photo where it is known, else soft ones with detail like that of what lends it.

    Args:
        known, colors: (H, W) in [0, 1], where the photo is shown, and how far its colours go on elsewhere.
        lends: (H, W) bool, what detail is like.
        kind: FOLDS, STRANDS or LOCKS.
        invent: detail (H, W, 3) and what lends (H, W) to detail everywhere: `strands` or `continue_detail`.
    """
    low = pull_push(photo, (colors**2 * typical(photo, colors)).astype(np.float32))
    detail = photo - cv2.GaussianBlur(photo, (0, 0), kind[0])
    looks_up = texels.upward - (colors * texels.upward).sum() / max(colors.sum(), 1e-6)
    made = (low + kind[1] * invent(detail, lends)) * (1 + FROM_ABOVE * looks_up[..., None])
    return np.clip(photo * known[..., None] + made * (1 - known[..., None]), 0, 255)


def trust(photo: np.ndarray, known: np.ndarray, facing: np.ndarray) -> np.ndarray:
    """(H, W) in [0, 1]: towards the outline, colours unlike the rest are those of what lies beside or behind."""
    steep = 1 - smoothstep(facing, *TRUSTED)
    return 1 - steep * (1 - typical(photo, known, (facing > 0) & (steep > 0)))


def without_islands(amount: np.ndarray, least: float) -> np.ndarray:
    """(H, W) in [0, 1] without the pieces whose area is less than this share of the largest's."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats((amount > LEAST_SEEN).astype(np.uint8))
    if count < 3:
        return amount
    area = stats[:, cv2.CC_STAT_AREA].astype(float)
    area[0] = 0
    return amount * (area >= least * area.max())[labels]


def opened(alpha: np.ndarray, width: int) -> np.ndarray:
    return _morphed(alpha, cv2.MORPH_OPEN, width)


def closed(alpha: np.ndarray, width: int) -> np.ndarray:
    return _morphed(alpha, cv2.MORPH_CLOSE, width)


def _morphed(alpha: np.ndarray, operation: int, width: int) -> np.ndarray:
    """Of (H, W) in [0, 1], in 255 steps: as bytes it is many times as fast."""
    steps = np.rint(255 * alpha).astype(np.uint8)
    return cv2.morphologyEx(steps, operation, _disc(width)) / np.float32(255)


def _disc(width: int) -> np.ndarray:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width))
