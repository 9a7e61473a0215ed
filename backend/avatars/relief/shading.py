"""Per-pixel shading of a rigged mesh: photo, borrowed texture and base colour, box-filtered over the samples."""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from backend.protocol.rigged_mesh import RiggedMesh
from backend.rasterizer import Raster

FADE_START = np.float32(RiggedMesh.FADE_START)
FADE_LENGTH = np.float32(RiggedMesh.FADE_LENGTH)
UV, FILL_UV, PHOTO_WEIGHT, FILL_WEIGHT, COLOR, CONFIDENCE, HEAD = 0, 2, 4, 5, 6, 9, 10
ATTRIBUTES = 11


@njit(cache=True, nogil=True)
def vertex_normals_fast(vertices, faces):
    """Area-weighted normals (N, 3) float32, not normalised."""
    normals = np.zeros_like(vertices)
    for t in range(faces.shape[0]):
        a, b, c = faces[t]
        ux, uy, uz = vertices[b, 0] - vertices[a, 0], vertices[b, 1] - vertices[a, 1], vertices[b, 2] - vertices[a, 2]
        vx, vy, vz = vertices[c, 0] - vertices[a, 0], vertices[c, 1] - vertices[a, 1], vertices[c, 2] - vertices[a, 2]
        nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for v in (a, b, c):
            normals[v, 0] += nx
            normals[v, 1] += ny
            normals[v, 2] += nz
    return normals


def view_attributes(mesh: RiggedMesh, points: np.ndarray, head: np.ndarray) -> np.ndarray:
    """Per-vertex attributes (N, 11) float32 for a view: what is constant, and the weights that the view decides.

    Args:
        points: (N, 3) float32, the posed vertices in camera space.
        head: (N,) in [0, 1], see `RenderedView.head`.
    """
    normals = vertex_normals_fast(points, mesh.faces)
    length = np.linalg.norm(normals, axis=1) * np.linalg.norm(points, axis=1)
    view_facing = np.abs((normals * points).sum(1)) / np.maximum(length, 1e-12)
    ratio = mesh.photo_facing / np.maximum(view_facing, 1e-3)
    photo = mesh.photo_weight * np.clip((ratio - FADE_START) / FADE_LENGTH, 0, 1)
    height, width = mesh.texture.shape[:2]
    attributes = np.empty((len(points), ATTRIBUTES), np.float32)
    for column, uv in ((UV, mesh.uv), (FILL_UV, mesh.fill_uv)):
        attributes[:, column] = uv[:, 0] * width - 0.5
        attributes[:, column + 1] = (1 - uv[:, 1]) * height - 0.5
    attributes[:, PHOTO_WEIGHT] = photo
    attributes[:, FILL_WEIGHT] = mesh.fill_weight
    attributes[:, COLOR : COLOR + 3] = mesh.base_color
    # The share of a pixel's surface that the photo resolved: all of it in the portrait's own view, whatever the slope.
    attributes[:, CONFIDENCE] = photo * np.clip(ratio, 0, 1)
    attributes[:, HEAD] = head
    return attributes


def shade(raster: Raster, faces: np.ndarray, attributes: np.ndarray, texture: np.ndarray, samples: int):
    """Colour, alpha, depth, confidence, share of the head and warped portrait of a view.

    Args:
        raster: at `samples` times the view's resolution in each direction.
        texture: (h, w, 4) uint8.

    Returns:
        rgba (H, W, 4) uint8 straight, depth (H, W) float32 (the nearest sample's), confidence and head (H, W) float32,
        warped (H, W, 3) uint8, see `RenderedView`.
    """
    return _shade(raster.triangle, raster.barycentric, raster.depth, faces, attributes, texture, samples)


def shown_places(raster: Raster, faces: np.ndarray, places: np.ndarray, samples: int) -> np.ndarray:
    """Which place on the head each pixel shows.

    Args:
        raster: at `samples` times the view's resolution in each direction.
        places: (N, 3) float32, the vertices' own.

    Returns:
        (H, W, 3) float32: a sample's of each pixel; zeros where it has none.
    """
    return _shown_places(raster.triangle, raster.barycentric, faces, places, samples)


@njit(cache=True, parallel=True, nogil=True)
def _shown_places(triangle, barycentric, faces, places, samples):
    height, width = triangle.shape[0] // samples, triangle.shape[1] // samples
    shown = np.zeros((height, width, 3), np.float32)
    for row in prange(height):
        for column in range(width):
            for sample in range(samples * samples):
                sy, sx = row * samples + sample // samples, column * samples + sample % samples
                t = triangle[sy, sx]
                if t >= 0:
                    for k in range(3):
                        for c in range(3):
                            shown[row, column, c] += barycentric[sy, sx, k] * places[faces[t, k], c]
                    break
    return shown


@njit(cache=True, inline="always")
def _texel(texture, x, y, out):
    height, width = texture.shape[0], texture.shape[1]
    x = min(max(x, np.float32(0)), np.float32(width - 1.001))
    y = min(max(y, np.float32(0)), np.float32(height - 1.001))
    x0, y0 = int(x), int(y)
    fx, fy = x - x0, y - y0
    for c in range(3):
        top = texture[y0, x0, c] * (1 - fx) + texture[y0, x0 + 1, c] * fx
        bottom = texture[y0 + 1, x0, c] * (1 - fx) + texture[y0 + 1, x0 + 1, c] * fx
        out[c] = top * (1 - fy) + bottom * fy


@njit(cache=True, parallel=True, nogil=True)
def _shade(triangle, barycentric, depth, faces, attributes, texture, samples):
    height, width = triangle.shape[0] // samples, triangle.shape[1] // samples
    rgba = np.zeros((height, width, 4), np.uint8)
    nearest = np.full((height, width), np.inf, np.float32)
    confidence = np.zeros((height, width), np.float32)
    head = np.zeros((height, width), np.float32)
    warped = np.zeros((height, width, 3), np.uint8)
    per_pixel = np.float32(samples * samples)
    for row in prange(height):
        photo = np.zeros(3, np.float32)
        fill = np.zeros(3, np.float32)
        value = np.zeros(ATTRIBUTES, np.float32)
        total = np.zeros(3, np.float32)
        seen = np.zeros(3, np.float32)
        for column in range(width):
            covered = 0
            trust = np.float32(0)
            share = np.float32(0)
            total[:] = 0
            seen[:] = 0
            for sy in range(row * samples, (row + 1) * samples):
                for sx in range(column * samples, (column + 1) * samples):
                    t = triangle[sy, sx]
                    if t < 0:
                        continue
                    covered += 1
                    value[:] = 0
                    for k in range(3):
                        weight = barycentric[sy, sx, k]
                        for c in range(ATTRIBUTES):
                            value[c] += weight * attributes[faces[t, k], c]
                    w = value[PHOTO_WEIGHT]
                    f = value[FILL_WEIGHT]
                    _texel(texture, value[UV], value[UV + 1], photo)
                    if w < 1 and f > 0:
                        _texel(texture, value[FILL_UV], value[FILL_UV + 1], fill)
                    for c in range(3):
                        filled = f * fill[c] + (1 - f) * value[COLOR + c] if f > 0 else value[COLOR + c]
                        total[c] += w * photo[c] + (1 - w) * filled
                        seen[c] += photo[c]
                    trust += value[CONFIDENCE]
                    share += value[HEAD]
                    nearest[row, column] = min(nearest[row, column], depth[sy, sx])
            if covered:
                for c in range(3):
                    rgba[row, column, c] = np.uint8(min(max(total[c] / covered, 0), 255) + 0.5)
                    warped[row, column, c] = np.uint8(seen[c] / covered + 0.5)
                rgba[row, column, 3] = np.uint8(255 * covered / per_pixel + 0.5)
                confidence[row, column] = trust / covered
                head[row, column] = share / covered
    return rgba, nearest, confidence, head, warped
