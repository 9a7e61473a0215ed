"""A head model seen plainly: painted skin and irises under one light, for detectors and for documentation."""

from __future__ import annotations

import numpy as np

from backend.geometry.rasterizer import Raster, interpolate, rasterize
from backend.protocol.camera import Camera
from flame import HeadModel
from flame.geometry import vertex_normals

SKIN, EYEBALL, IRIS = (0.80, 0.60, 0.50), (0.92, 0.92, 0.92), (0.27, 0.18, 0.12)
IRIS_ANGLE = np.radians(24)
LIGHT = np.array([-0.35, 0.5, 0.8])
BACKGROUND = 0.7


def painted(model: HeadModel) -> np.ndarray:
    """Vertex colours (V, 3) in [0, 1]: skin, white eyeballs with an iris towards +z."""
    colours = np.tile(np.array(SKIN), (len(model.v_template), 1))
    for name in ("eye_left", "eye_right"):
        eye = model.regions[name]
        points = model.v_template[eye]
        arm = points - (points.min(0) + points.max(0)) / 2
        angle = np.arccos(np.clip(arm[:, 2] / np.linalg.norm(arm, axis=1), -1, 1))
        colours[eye] = np.where(angle[:, None] < IRIS_ANGLE, IRIS, EYEBALL)
    return colours


def look_at(centre: np.ndarray, yaw: float, pitch: float, distance: float, focal: float, size: int) -> Camera:
    """A camera that looks at a point of head space from the front, turned by yaw and pitch (radians) about it.

    Positive yaw moves the camera to the person's left, positive pitch upwards.
    """
    cy, sy, cp, sp = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
    turn = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]]) @ np.array([[cy, 0, -sy], [0, 1, 0], [sy, 0, cy]])
    world_to_camera = np.eye(4)
    world_to_camera[:3, :3] = np.diag([1.0, -1.0, -1.0]) @ turn
    world_to_camera[:3, 3] = np.array([0, 0, distance]) - world_to_camera[:3, :3] @ centre
    K = np.array([[focal, 0, size / 2], [0, focal, size / 2], [0, 0, 1]])
    return Camera.from_arrays(K, world_to_camera, size, size)


def rasterize_view(vertices: np.ndarray, faces: np.ndarray, camera: Camera) -> Raster:
    """What a camera sees of a mesh (V, 3) in head space."""
    screen = np.concatenate([camera.project(vertices), camera.to_camera(vertices)[:, 2:]], 1)
    return rasterize(screen, faces, camera.width, camera.height)


def shaded_view(
    vertices: np.ndarray, faces: np.ndarray, colours: np.ndarray, camera: Camera
) -> tuple[np.ndarray, Raster]:
    """The lit picture (H, W, 3) uint8 on grey, and its raster."""
    raster = rasterize_view(vertices, faces, camera)
    normal, colour = (interpolate(raster, faces, a) for a in (vertex_normals(vertices, faces), colours))
    normal /= np.maximum(np.linalg.norm(normal, axis=2, keepdims=True), 1e-9)
    light = 0.35 + 0.65 * np.clip(normal @ (LIGHT / np.linalg.norm(LIGHT)), 0, 1)
    image = np.where(raster.covered[..., None], colour * light[..., None], BACKGROUND)
    return (255 * np.clip(image, 0, 1)).astype(np.uint8), raster
