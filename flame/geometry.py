"""Plain mesh geometry."""

from __future__ import annotations

import numpy as np


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Area-weighted unit normals of a mesh's vertices.

    Args:
        vertices: (N, 3).
        faces: (F, 3) int, counter-clockwise seen from outside.

    Returns:
        (N, 3) float64, outward; zero where a vertex has no face.
    """
    corners = vertices[faces].astype(float)
    face_normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    corner = faces.ravel()
    sums = [np.bincount(corner, np.repeat(face_normals[:, axis], 3), len(vertices)) for axis in range(3)]
    normals = np.stack(sums, 1)
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
