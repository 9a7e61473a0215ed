"""Ambient occlusion: how much of the sky a vertex sees past the rest of the bust."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from backend.geometry.rasterizer import depth_map

DIRECTIONS = 48
PIXELS = 224
"""Along the sides of the picture in which a direction's nearest surfaces are found."""
OFFSET, BIAS = 0.003, 0.002
"""Metres above the surface at which light is gathered, and by which something must be nearer to hide that place."""
FROM_ABOVE = 0.6
"""How much more light comes from above than from the horizon, as a share; from below as much less."""


def ambient_occlusion(
    vertices: np.ndarray, normals: np.ndarray, occluders: np.ndarray, faces: np.ndarray
) -> np.ndarray:
    """The share (n,) in [0, 1] of a sky's light, brighter above, that arrives at points.

    Depth maps along a Fibonacci lattice of directions take the place of rays.

    Args:
        vertices, normals: (n, 3) head space, unit normals.
        occluders: (m, 3), with faces (F, 3).
    """
    vertices = vertices + OFFSET * normals
    low, high = vertices.min(0), vertices.max(0)
    centre, radius = (low + high) / 2, np.linalg.norm(high - low) / 2
    arrived, possible = np.zeros(len(vertices)), np.zeros(len(vertices))
    for direction in _fibonacci_sphere(DIRECTIONS):
        facing = np.clip(normals @ direction, 0, None) * (1 + FROM_ABOVE * direction[1])
        frame = _frame(direction)
        scale = PIXELS / (2 * radius)
        screen, own = ((points - centre) @ frame.T for points in (occluders, vertices))
        for points in (screen, own):
            points[:, :2] = points[:, :2] * scale + PIXELS / 2
            points[:, 2] = 4 * radius - points[:, 2]
        depth = depth_map(screen, faces, PIXELS, PIXELS)
        depth = np.where(np.isfinite(depth), depth, 9.0)
        nearest = ndimage.map_coordinates(depth, [own[:, 1] - 0.5, own[:, 0] - 0.5], order=0, mode="nearest")
        arrived += facing * (own[:, 2] < nearest + BIAS)
        possible += facing
    return np.where(possible > 0, arrived / np.maximum(possible, 1e-9), 1.0)


def _fibonacci_sphere(count: int) -> np.ndarray:
    """Unit vectors (count, 3), evenly spread."""
    k = np.arange(count) + 0.5
    height = 1 - 2 * k / count
    angle = np.pi * (1 + np.sqrt(5)) * k
    flat = np.sqrt(1 - height**2)
    return np.stack([flat * np.cos(angle), height, flat * np.sin(angle)], 1)


def _frame(direction: np.ndarray) -> np.ndarray:
    """A rotation (3, 3) whose last row is a direction."""
    helper = np.array([1.0, 0, 0]) if abs(direction[0]) < 0.8 else np.array([0, 1.0, 0])
    right = np.cross(helper, direction)
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(direction, right), direction])
