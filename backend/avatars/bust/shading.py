"""Per-pixel shading of a textured mesh with up to two layers of alpha before what is opaque."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit, prange

from backend.geometry.rasterizer import Raster, rasterize

LEAST_ALPHA, MOST_ALPHA = 3, 252
"""Alphas (of 255) up to which a face is not there, and from which on it is opaque, if all its texels are."""


@dataclass(frozen=True)
class Layers:
    """What each pixel shows from front to back: two rasters of `clear` faces, one of `solid` ones."""

    first: Raster
    second: Raster
    solid: Raster


def face_alphas(texels: np.ndarray, faces: np.ndarray, alpha: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The least and the largest alpha (F,) around each face.

    Args:
        texels: (T, 2) pixels of the texture, centres at integers. faces: (F, 3). alpha: (H, W) of any type.
    """
    low, high = np.empty(len(faces), alpha.dtype), np.empty(len(faces), alpha.dtype)
    _face_alphas(
        texels.astype(np.float32), np.ascontiguousarray(faces, np.int32), np.ascontiguousarray(alpha), low, high
    )
    return low, high


@njit(cache=True, nogil=True)
def _face_alphas(at, faces, alpha, low, high):
    height, width = alpha.shape
    for t in range(len(faces)):
        a, b, c = faces[t]
        x0 = max(int(min(at[a, 0], at[b, 0], at[c, 0])), 0)
        x1 = min(int(max(at[a, 0], at[b, 0], at[c, 0])) + 1, width - 1)
        y0 = max(int(min(at[a, 1], at[b, 1], at[c, 1])), 0)
        y1 = min(int(max(at[a, 1], at[b, 1], at[c, 1])) + 1, height - 1)
        least, most = alpha[y0, x0], alpha[y0, x0]
        for y in range(y0, y1 + 1):
            for x in range(x0, x1 + 1):
                value = alpha[y, x]
                least = min(least, value)
                most = max(most, value)
        low[t], high[t] = least, most


def peel(screen: np.ndarray, clear: np.ndarray, solid: np.ndarray, width: int, height: int) -> Layers:
    """Rasterise faces (F, 3) with alpha and opaque ones; see `rasterize`."""
    behind = rasterize(screen, solid, width, height)
    first = rasterize(screen, clear, width, height, before=behind)
    second = rasterize(screen, clear, width, height, before=behind, behind=first)
    return Layers(first, second, behind)


@njit(cache=True, nogil=True)
def facing(vertices, faces, eye):
    """(N,) float32: |cos| between a mesh's area-weighted normals and the way to a camera at `eye` (3,)."""
    normals = np.zeros_like(vertices)
    for t in range(len(faces)):
        a, b, c = faces[t]
        ux, uy, uz = vertices[b, 0] - vertices[a, 0], vertices[b, 1] - vertices[a, 1], vertices[b, 2] - vertices[a, 2]
        vx, vy, vz = vertices[c, 0] - vertices[a, 0], vertices[c, 1] - vertices[a, 1], vertices[c, 2] - vertices[a, 2]
        nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for v in (a, b, c):
            normals[v, 0] += nx
            normals[v, 1] += ny
            normals[v, 2] += nz
    result = np.zeros(len(vertices), np.float32)
    for v in range(len(vertices)):
        x, y, z = eye[0] - vertices[v, 0], eye[1] - vertices[v, 1], eye[2] - vertices[v, 2]
        dot = normals[v, 0] * x + normals[v, 1] * y + normals[v, 2] * z
        length = np.sqrt(normals[v, 0] ** 2 + normals[v, 1] ** 2 + normals[v, 2] ** 2) * np.sqrt(x * x + y * y + z * z)
        result[v] = abs(dot) / max(length, np.float32(1e-12))
    return result


@njit(cache=True, inline="always")
def _texel(texture, x, y, out):
    height, width = texture.shape[0], texture.shape[1]
    x = min(max(x, np.float32(0)), np.float32(width - 1.001))
    y = min(max(y, np.float32(0)), np.float32(height - 1.001))
    x0, y0 = int(x), int(y)
    fx, fy = x - x0, y - y0
    for c in range(texture.shape[2]):
        top = texture[y0, x0, c] * (1 - fx) + texture[y0, x0 + 1, c] * fx
        bottom = texture[y0 + 1, x0, c] * (1 - fx) + texture[y0 + 1, x0 + 1, c] * fx
        out[c] = top * (1 - fy) + bottom * fy


HEAD, RESOLVED, PLACE, PORTRAIT = 0, 1, 2, 5
ATTRIBUTES = 7
"""Per vertex: share of the head, how well the photo resolved it, its place (3), where the portrait saw it (2)."""


def shade(
    layers: Layers,
    clear: tuple[np.ndarray, np.ndarray],
    solid: tuple[np.ndarray, np.ndarray],
    texels: np.ndarray,
    attributes: np.ndarray,
    atlas: np.ndarray,
    portrait: np.ndarray,
    samples: int,
):
    """Colour, alpha, depth, confidence, share of the head, place and warped portrait of a view.

    Args:
        layers: at `samples` times the view's resolution in each direction.
        clear, solid: faces (F, 3) of the rasters and their uv faces (F, 3).
        texels: (T, 2) float32, uv in the atlas' pixels, centres at integers.
        attributes: (N, 7) float32.
        atlas: (h, w, 5) uint8, RGBA and confidence. portrait: (S, S, 3) uint8.

    Returns:
        rgba (H, W, 4) uint8 straight, depth (H, W), confidence (H, W), head (H, W), place (H, W, 3) float32 and
        warped (H, W, 3) uint8, see `RenderedView`.
    """
    rasters = (layers.first, layers.second, layers.solid)
    triangles, weights, depths = (
        tuple(getattr(raster, name) for raster in rasters) for name in ("triangle", "barycentric", "depth")
    )
    return _shade(triangles, weights, depths, *clear, *solid, texels, attributes, atlas, portrait, samples)


@njit(cache=True, parallel=True, nogil=True)
def _shade(triangles, weights, depths, clear, clear_uv, solid, solid_uv, texels, attributes, atlas, portrait, samples):
    height, width = triangles[0].shape[0] // samples, triangles[0].shape[1] // samples
    rgba = np.zeros((height, width, 4), np.uint8)
    nearest = np.full((height, width), np.inf, np.float32)
    confidence = np.zeros((height, width), np.float32)
    head = np.zeros((height, width), np.float32)
    place = np.zeros((height, width, 3), np.float32)
    warped = np.zeros((height, width, 3), np.uint8)
    per_pixel = np.float32(samples * samples)
    for row in prange(height):
        texel = np.zeros(5, np.float32)
        seen = np.zeros(3, np.float32)
        value = np.zeros(ATTRIBUTES, np.float32)
        color = np.zeros(3, np.float32)
        warp = np.zeros(3, np.float32)
        for column in range(width):
            color[:] = 0
            warp[:] = 0
            opacity = np.float32(0)
            trust = np.float32(0)
            share = np.float32(0)
            most = np.float32(0)
            for sy in range(row * samples, (row + 1) * samples):
                for sx in range(column * samples, (column + 1) * samples):
                    through = np.float32(1)
                    for layer in range(3):
                        t = triangles[layer][sy, sx]
                        if t < 0:
                            continue
                        u, v = np.float32(0), np.float32(0)
                        value[:] = 0
                        for k in range(3):
                            w = weights[layer][sy, sx, k]
                            if layer < 2:
                                corner, vertex = clear_uv[t, k], clear[t, k]
                            else:
                                corner, vertex = solid_uv[t, k], solid[t, k]
                            u += w * texels[corner, 0]
                            v += w * texels[corner, 1]
                            for c in range(ATTRIBUTES):
                                value[c] += w * attributes[vertex, c]
                        _texel(atlas, u, v, texel)
                        amount = through * (texel[3] / np.float32(255) if layer < 2 else np.float32(1))
                        if layer < 2 and amount < np.float32(0.004):
                            continue
                        _texel(portrait, value[PORTRAIT] - np.float32(0.5), value[PORTRAIT + 1] - np.float32(0.5), seen)
                        # Where the portrait saw something else it tells nothing of what is here.
                        known = texel[4] / np.float32(255)
                        for c in range(3):
                            color[c] += amount * texel[c]
                            warp[c] += amount * (known * seen[c] + (1 - known) * texel[c])
                        opacity += amount
                        trust += amount * known * value[RESOLVED]
                        share += amount * value[HEAD]
                        # Where half of what lies behind is hidden.
                        if through > np.float32(0.5) and through - amount <= np.float32(0.5):
                            nearest[row, column] = min(nearest[row, column], depths[layer][sy, sx])
                        if amount > most:
                            most = amount
                            for c in range(3):
                                place[row, column, c] = value[PLACE + c]
                        through -= amount
            if opacity > np.float32(0.004):
                for c in range(3):
                    rgba[row, column, c] = np.uint8(min(max(color[c] / opacity, 0), 255) + 0.5)
                    warped[row, column, c] = np.uint8(min(max(warp[c] / opacity, 0), 255) + 0.5)
                rgba[row, column, 3] = np.uint8(min(255 * opacity / per_pixel, np.float64(255)) + 0.5)
                confidence[row, column] = trust / opacity
                head[row, column] = share / opacity
    return rgba, nearest, confidence, head, place, warped
