"""A rigged mesh in a pose, and where what it shows was before."""

from __future__ import annotations

import numpy as np

from backend.geometry.rasterizer import Raster, interpolate, rasterize
from backend.protocol.camera import Camera
from backend.protocol.head_parameters import HeadParameters
from backend.protocol.rigged_mesh import RiggedMesh
from flame import pose_vertices

SAME_SURFACE = 0.01
"""Metres that a point may lie behind what a view shows there and still count as the same surface."""


def posed_vertices(mesh: RiggedMesh, parameters: HeadParameters) -> np.ndarray:
    """(N, 3) float32 vertices in head space.

    Raises:
        ValueError: more expression coefficients than the head model has.
    """
    vertices = mesh.vertices
    coefficients = np.array(parameters.expression, np.float32)
    if len(coefficients) > len(mesh.expression_names):
        raise ValueError(
            f"{len(coefficients)} expression coefficients, but the head model has {len(mesh.expression_names)}"
        )
    active = np.flatnonzero(coefficients)
    if len(active):
        vertices = vertices.copy()
        vertices[mesh.expression_vertices] += np.tensordot(
            coefficients[active], mesh.expression_offsets[active], axes=1
        )
    return pose_vertices(
        vertices,
        mesh.joints,
        mesh.parents,
        mesh.skin_weights,
        parameters.joint_rotations,
        np.array(parameters.translation, np.float32),
    )


def pixels_before(
    mesh: RiggedMesh,
    now: tuple[Camera, HeadParameters],
    before: tuple[Camera, HeadParameters],
    depth_before: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Where the surface that each pixel shows now was in an earlier view, by the mesh's own motion.

    Args:
        now, before: camera and pose.
        depth_before: (H, W) float32, metres, of the earlier view.

    Returns:
        (H, W, 2) float32 x and y in the earlier view's pixels; (H, W) bool, whether it was seen there.
    """
    moved = [posed_vertices(mesh, parameters) for _, parameters in (now, before)]
    return surface_before(mesh.faces, (now[0], moved[0]), (before[0], moved[1]), depth_before)


def draw(faces: np.ndarray, camera: Camera, vertices: np.ndarray) -> Raster:
    """What each pixel of a camera shows of a surface with vertices (N, 3) in head space."""
    screen = camera.to_screen(vertices.astype(float))
    screen[screen[:, 2] <= 0] = np.nan
    return rasterize(screen.astype(np.float32), faces, camera.width, camera.height)


def surface_before(
    faces: np.ndarray, now: tuple[Camera, np.ndarray], before: tuple[Camera, np.ndarray], depth_before: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """As `pixels_before`, of a surface whose vertices (N, 3) now and before are known."""
    (camera, vertices), (earlier, vertices_before) = now, before
    raster = draw(faces, camera, vertices)
    was = earlier.to_screen(interpolate(raster, faces, vertices_before.astype(float)))
    pixels, depth = was[..., :2], was[..., 2]
    ahead = raster.covered & (depth > 0)
    columns, rows = (np.floor(np.nan_to_num(pixels[..., i], nan=-1, posinf=-1, neginf=-1)) for i in (0, 1))
    inside = ahead & (columns >= 0) & (rows >= 0) & (columns < earlier.width) & (rows < earlier.height)
    seen = np.full(inside.shape, np.inf, np.float32)
    seen[inside] = depth_before[rows[inside].astype(int), columns[inside].astype(int)]
    return pixels.astype(np.float32), inside & np.isfinite(seen) & (depth < seen + SAME_SURFACE)
