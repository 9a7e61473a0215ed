"""A texture without the light of its photo, about: what a low-order fit over the normals explains is divided out.

The skin's colours are explained by one albedo under a light of second order in the normal (Ramamoorthi and Hanrahan
2001, "An efficient representation for irradiance environment maps"). Shadows, gloss and what hair makes of light stay.
"""

from __future__ import annotations

import bpy
import numpy as np

from backend.protocol.pictures import TO_LINEAR, to_srgb
from flame.geometry import vertex_normals

GRID = 256
"""Cells along the sides of the atlas in which light is told; it varies slowly."""
RIDGE = 0.02
"""Keeps what no skin faces from being guessed."""
DARKEST, BRIGHTEST = 0.45, 1.8
"""Light beside its mean on the skin that is believed."""
SUBDIVISIONS = 4
MOVES = 5e-4
"""Metres."""


def without_light(mesh: bpy.types.Mesh, pixels: np.ndarray) -> np.ndarray:
    """(H, W, 4) uint8 sRGB like `pixels`, with the light on the head mesh divided out."""
    vertices, faces, corner_uv = _arrays(mesh)
    normals = vertex_normals(vertices, faces)
    skin = _mobile(mesh)[faces].all(1)
    linear = TO_LINEAR[pixels[..., :3]]
    light = _fit(normals[faces][skin].mean(1), _look_up(linear, corner_uv[skin].mean(1)))
    lit = _spread(_basis(normals[faces].reshape(-1, 3)) @ light, corner_uv)
    factor = np.clip(np.exp(_enlarged(lit, *pixels.shape[:2])), DARKEST, BRIGHTEST)
    result = pixels.copy()
    result[..., :3] = to_srgb(linear / factor)
    return result


def _arrays(mesh: bpy.types.Mesh) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vertices (N, 3), faces (F, 3) and texture coordinates (F, 3, 2)."""
    vertices = np.empty(3 * len(mesh.vertices), np.float32)
    mesh.vertices.foreach_get("co", vertices)
    faces = np.empty(len(mesh.loops), np.int32)
    mesh.loops.foreach_get("vertex_index", faces)
    uv = np.empty(2 * len(mesh.loops), np.float32)
    mesh.uv_layers[0].uv.foreach_get("vector", uv)
    return vertices.reshape(-1, 3), faces.reshape(-1, 3), uv.reshape(-1, 3, 2)


def _mobile(mesh: bpy.types.Mesh) -> np.ndarray:
    """(N,) bool: the vertices that an expression moves: the face, without hair and clothes."""
    if not mesh.shape_keys:
        return np.ones(len(mesh.vertices), bool)
    basis, *others = (_places(key) for key in mesh.shape_keys.key_blocks)
    return np.any([np.abs(place - basis).max(1) > MOVES for place in others], axis=0)


def _places(key: bpy.types.ShapeKey) -> np.ndarray:
    places = np.empty(3 * len(key.data), np.float32)
    key.data.foreach_get("co", places)
    return places.reshape(-1, 3)


def _basis(normals: np.ndarray) -> np.ndarray:
    """(n, 8): spherical harmonics of first and second order, of mean zero, of unit normals (n, 3), unscaled."""
    x, y, z = normals.T
    return np.stack([x, y, z, x * y, y * z, x * z, z * z - 1 / 3, x * x - y * y], 1)


def _fit(normals: np.ndarray, colors: np.ndarray) -> np.ndarray:
    """(8, 3): natural logarithm of the light by `_basis`, of linear colours (n, 3) of one albedo; what fits badly, as
    brows, lips and eyes do, counts little."""
    basis = np.column_stack([np.ones(len(normals)), _basis(normals)])
    logs = np.log(np.maximum(colors, 0.003))
    weight = np.ones(len(logs))
    ridge = np.diag([0.0, *[RIDGE * len(logs)] * 8])
    for _ in range(3):
        solution = np.linalg.solve(basis.T @ (weight[:, None] * basis) + ridge, basis.T @ (weight[:, None] * logs))
        away = np.abs(logs - basis @ solution).mean(1)
        weight = 1 / (1 + (away / np.median(away)) ** 4)
    return solution[1:]


def _look_up(image: np.ndarray, uv: np.ndarray) -> np.ndarray:
    """(n, C): the texels of an image (H, W, C) at texture coordinates (n, 2)."""
    height, width = image.shape[:2]
    column = np.clip((uv[:, 0] * width).astype(int), 0, width - 1)
    row = np.clip(((1 - uv[:, 1]) * height).astype(int), 0, height - 1)
    return image[row, column]


def _spread(values: np.ndarray, corner_uv: np.ndarray) -> np.ndarray:
    """(GRID, GRID, C): values at the corners of all faces, (3 F, C), over the atlas; gaps are filled from around."""
    values = values.reshape(len(corner_uv), 3, -1)
    total, count = np.zeros((GRID * GRID, values.shape[2])), np.zeros(GRID * GRID)
    for a in range(SUBDIVISIONS + 1):
        for b in range(SUBDIVISIONS + 1 - a):
            weights = np.array([a, b, SUBDIVISIONS - a - b]) / SUBDIVISIONS
            uv, value = np.tensordot(weights, corner_uv, (0, 1)), np.tensordot(weights, values, (0, 1))
            column = np.clip((uv[:, 0] * GRID).astype(int), 0, GRID - 1)
            cell = np.clip(((1 - uv[:, 1]) * GRID).astype(int), 0, GRID - 1) * GRID + column
            count += np.bincount(cell, minlength=GRID * GRID)
            for channel in range(values.shape[2]):
                total[:, channel] += np.bincount(cell, value[:, channel], GRID * GRID)
    return _filled(total.reshape(GRID, GRID, -1), count.reshape(GRID, GRID, 1))


def _filled(total: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Means (n, n, C) of sums and counts; a cell that has none takes the mean of the coarser cell around it."""
    if len(total) == 1:
        return total / np.maximum(count, 1)
    half = len(total) // 2
    coarser = _filled(*(a.reshape(half, 2, half, 2, -1).sum((1, 3)) for a in (total, count)))
    around = coarser.repeat(2, 0).repeat(2, 1)
    return np.where(count > 0, total / np.maximum(count, 1), around)


def _enlarged(grid: np.ndarray, *shape: int) -> np.ndarray:
    """A grid (n, n, C) at the shape (H, W), between its cells linear."""
    for axis, size in enumerate(shape):
        place = np.clip((np.arange(size) + 0.5) / size * len(grid) - 0.5, 0, GRID - 1)
        low = np.minimum(place.astype(int), GRID - 2)
        share = (place - low).astype(np.float32).reshape([-1, 1, 1] if axis == 0 else [1, -1, 1])
        grid = grid.astype(np.float32)
        grid = np.take(grid, low, axis) * (1 - share) + np.take(grid, low + 1, axis) * share
    return grid
