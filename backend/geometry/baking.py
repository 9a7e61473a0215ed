"""From pictures back to a texture: what several cameras say of a mesh's surface, gathered by its texels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from backend.geometry.posing import SAME_SURFACE
from backend.geometry.rasterizer import interpolate, rasterize
from backend.geometry.sampling import sample
from backend.protocol.camera import Camera
from backend.protocol.rigged_mesh import RiggedMesh
from flame.geometry import vertex_normals

LEAST_FACING = 0.15
"""Cosine below which a camera says nothing of a surface."""


@dataclass(frozen=True, eq=False)
class Texels:
    """Where a texture's texels lie.

    Attributes:
        covered: (S, S) bool, those that a face uses.
        points: (n, 3) float32, head space, of the covered ones in rows.
        normals: (n, 3) float32, unit, outward.
    """

    covered: np.ndarray
    points: np.ndarray
    normals: np.ndarray

    @classmethod
    def of(cls, mesh: RiggedMesh, vertices: np.ndarray, size: int) -> Texels:
        """Of a texture of size x size texels on a mesh with vertices (N, 3) in head space."""
        corners = mesh.uv[mesh.uv_faces].reshape(-1, 2) * [1, -1] + [0, 1]
        flat = np.column_stack([corners * size, np.ones(len(corners))])
        faces = np.arange(len(flat), dtype=np.int32).reshape(-1, 3)
        raster = rasterize(flat, faces, size, size)
        attributes = np.column_stack([vertices, vertex_normals(vertices, mesh.faces)])[mesh.faces.ravel()]
        values = interpolate(raster, faces, attributes)[raster.covered]
        length = np.linalg.norm(values[:, 3:], axis=1, keepdims=True)
        return cls(raster.covered, values[:, :3], values[:, 3:] / np.maximum(length, 1e-9))

    def gather(self, views: Sequence[tuple[Camera, np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
        """What views say, those the most that see a texel squarely.

        Args:
            views: of each the camera, the depth (H, W) in metres that it shows, and values (H, W, C) float32, of which
                the last is the weight that the others are already multiplied by.

        Returns:
            (S, S, C - 1) weighted sums and (S, S) weights.
        """
        channels = views[0][2].shape[2]
        sums = np.zeros((len(self.points), channels), np.float32)
        for camera, depth, values in views:
            way = camera.center - self.points
            facing = (way * self.normals).sum(1) / np.linalg.norm(way, axis=1)
            pixels = camera.project(self.points)
            at = np.floor(pixels).astype(int)
            inside = (facing > LEAST_FACING) & (at >= 0).all(1) & (at < [camera.width, camera.height]).all(1)
            x, y = at[inside].T
            seen = camera.to_camera(self.points[inside])[:, 2] < depth[y, x] + SAME_SURFACE
            chosen = np.flatnonzero(inside)[seen]
            sums[chosen] += facing[chosen, None] ** 2 * sample(values, pixels[chosen])
        result = np.zeros((*self.covered.shape, channels), np.float32)
        result[self.covered] = sums
        return result[..., :-1], result[..., -1]
