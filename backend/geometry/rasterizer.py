"""A z-buffer rasteriser for the CPU: triangles to visible triangle, barycentric coordinates and depth per pixel.

Deferred shading: what a pixel looks like is decided afterwards, from `Raster` and per-vertex attributes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import get_num_threads, njit, prange

SAME_LAYER = np.float32(1e-5)
"""Share of its depth by which the next layer lies behind one."""
ANYWHERE = np.full((1, 1), np.inf, np.float32)
"""The limit of what no layer lies before."""
NEAR = 0.01
"""Metres; a triangle with a vertex nearer than this is not drawn."""


@dataclass(frozen=True)
class Raster:
    """What each pixel shows.

    Attributes:
        triangle: (H, W) int32, index into the faces, -1 where there is nothing.
        barycentric: (H, W, 3) float32, perspective-correct, zero where there is nothing.
        depth: (H, W) float32, metres along the camera's axis, inf where there is nothing.
    """

    triangle: np.ndarray
    barycentric: np.ndarray
    depth: np.ndarray

    @property
    def covered(self) -> np.ndarray:
        """(H, W) bool."""
        return self.triangle >= 0


def rasterize(
    screen: np.ndarray,
    faces: np.ndarray,
    width: int,
    height: int,
    before: Raster | None = None,
    behind: Raster | None = None,
) -> Raster:
    """Draw triangles, both sides, nearest first.

    Args:
        screen: (N, 3) x and y in pixels (a pixel's centre is at .5), z in metres along the camera's axis.
        faces: (F, 3) int vertex indices.
        before: only what lies nearer than this is drawn.
        behind: only what lies farther than this is drawn: the next layer (Everitt 2001, depth peeling).
    """
    screen = np.ascontiguousarray(screen, np.float32)
    faces = np.ascontiguousarray(faces, np.int32)
    inverse_depth = np.zeros((height, width), np.float32) if before is None else 1 / before.depth
    limit = ANYWHERE if behind is None else (1 - SAME_LAYER) / behind.depth
    triangle = _nearest(screen, faces, inverse_depth, limit)
    barycentric, depth = _resolve(screen, faces, triangle)
    return Raster(triangle, barycentric, depth)


def depth_map(screen: np.ndarray, faces: np.ndarray, width: int, height: int) -> np.ndarray:
    """The depth alone that `rasterize` finds: (height, width) float32 metres, inf where there is nothing."""
    inverse_depth = np.zeros((height, width), np.float32)
    _nearest(np.ascontiguousarray(screen, np.float32), np.ascontiguousarray(faces, np.int32), inverse_depth, ANYWHERE)
    with np.errstate(divide="ignore"):
        return 1 / inverse_depth


def _nearest(screen: np.ndarray, faces: np.ndarray, inverse_depth: np.ndarray, limit: np.ndarray) -> np.ndarray:
    """The nearest triangle (height, width) int32, -1 for none; its depth goes into `inverse_depth` (height, width)."""
    triangle = np.full(inverse_depth.shape, -1, np.int32)
    _fill(screen, faces, min(len(triangle), 2 * get_num_threads()), inverse_depth, limit, triangle)
    return triangle


def interpolate(raster: Raster, faces: np.ndarray, attributes: np.ndarray) -> np.ndarray:
    """Per-vertex attributes (N, C) to per-pixel values (H, W, C), zero where there is nothing."""
    attributes = np.ascontiguousarray(attributes, np.float32)
    return _interpolate(raster.triangle, raster.barycentric, np.ascontiguousarray(faces, np.int32), attributes)


@njit(cache=True, inline="always")
def _edge(ax, ay, bx, by, px, py):
    return (bx - ax) * (py - ay) - (by - ay) * (px - ax)


@njit(cache=True, parallel=True, nogil=True)
def _fill(screen, faces, bands, inverse_depth, limit, triangle):
    height, width = triangle.shape
    limited = limit.size > 1
    for band in prange(bands):
        top = band * height // bands
        bottom = (band + 1) * height // bands
        for t in range(faces.shape[0]):
            ax, ay, az = screen[faces[t, 0]]
            bx, by, bz = screen[faces[t, 1]]
            cx, cy, cz = screen[faces[t, 2]]
            # min() is false on NaN in the right place: a vertex that is not a number drops its triangles.
            if not (min(az, bz, cz) > NEAR):
                continue
            y_low, y_high = min(ay, by, cy), max(ay, by, cy)
            x_low, x_high = min(ax, bx, cx), max(ax, bx, cx)
            if not (y_high >= top and y_low <= bottom and x_high >= 0 and x_low <= width):
                continue
            area = _edge(ax, ay, bx, by, cx, cy)
            if abs(area) < 1e-9:
                continue
            inv_area = np.float32(1.0) / area
            y0 = max(top, int(np.ceil(y_low - np.float32(0.5))))
            y1 = min(bottom - 1, int(np.floor(y_high - np.float32(0.5))))
            x0 = max(0, int(np.ceil(x_low - np.float32(0.5))))
            x1 = min(width - 1, int(np.floor(x_high - np.float32(0.5))))
            iaz, ibz, icz = np.float32(1.0) / az, np.float32(1.0) / bz, np.float32(1.0) / cz
            for y in range(y0, y1 + 1):
                py = y + np.float32(0.5)
                for x in range(x0, x1 + 1):
                    px = x + np.float32(0.5)
                    wa = _edge(bx, by, cx, cy, px, py) * inv_area
                    wb = _edge(cx, cy, ax, ay, px, py) * inv_area
                    wc = np.float32(1.0) - wa - wb
                    # A hair of tolerance closes the seams that rounding opens between neighbours.
                    if wa >= -1e-5 and wb >= -1e-5 and wc >= -1e-5:
                        iz = wa * iaz + wb * ibz + wc * icz
                        if iz > inverse_depth[y, x] and (not limited or iz < limit[y, x]):
                            inverse_depth[y, x] = iz
                            triangle[y, x] = t


@njit(cache=True, parallel=True, nogil=True)
def _resolve(screen, faces, triangle):
    height, width = triangle.shape
    barycentric = np.zeros((height, width, 3), np.float32)
    depth = np.full((height, width), np.inf, np.float32)
    for y in prange(height):
        py = y + np.float32(0.5)
        for x in range(width):
            t = triangle[y, x]
            if t < 0:
                continue
            px = x + np.float32(0.5)
            ax, ay, az = screen[faces[t, 0]]
            bx, by, bz = screen[faces[t, 1]]
            cx, cy, cz = screen[faces[t, 2]]
            inv_area = np.float32(1.0) / _edge(ax, ay, bx, by, cx, cy)
            wa = _edge(bx, by, cx, cy, px, py) * inv_area
            wb = _edge(cx, cy, ax, ay, px, py) * inv_area
            a, b, c = wa / az, wb / bz, (np.float32(1.0) - wa - wb) / cz
            z = np.float32(1.0) / (a + b + c)
            barycentric[y, x, 0] = a * z
            barycentric[y, x, 1] = b * z
            barycentric[y, x, 2] = c * z
            depth[y, x] = z
    return barycentric, depth


@njit(cache=True, parallel=True, nogil=True)
def _interpolate(triangle, barycentric, faces, attributes):
    height, width = triangle.shape
    channels = attributes.shape[1]
    out = np.zeros((height, width, channels), np.float32)
    for y in prange(height):
        for x in range(width):
            t = triangle[y, x]
            if t < 0:
                continue
            for k in range(3):
                w = barycentric[y, x, k]
                v = faces[t, k]
                for c in range(channels):
                    out[y, x, c] += w * attributes[v, c]
    return out
