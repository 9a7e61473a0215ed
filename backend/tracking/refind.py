"""How well a portrait's landmarks are found again on turned views of it: the check of a fitted head's depth."""

from __future__ import annotations

import cv2
import numpy as np

from backend.geometry.rasterizer import interpolate
from backend.protocol.camera import Camera
from backend.tracking.landmarks import find_landmarks
from backend.tracking.plain_head import rasterize_view
from backend.tracking.portrait import TrackedPortrait
from flame import HeadModel
from flame.rotations import axis_angle_to_matrix

BACKGROUND = 128
HEAD_MIDDLE = 0.06
"""Metres behind the face's middle: the point about which the head turns."""


def turned_camera(portrait: TrackedPortrait, model: HeadModel, yaw: float) -> Camera:
    """The portrait's camera with the head turned by yaw (degrees) about its middle."""
    camera = portrait.camera
    pivot = camera.to_camera(portrait.vertices[model.regions["face"]].mean(0) - np.array([0, 0, HEAD_MIDDLE]))
    turn = np.eye(4)
    turn[:3, :3] = axis_angle_to_matrix(np.array([0, np.radians(yaw), 0]))
    turn[:3, 3] = pivot - turn[:3, :3] @ pivot
    return Camera.from_arrays(camera.intrinsics, turn @ camera.extrinsics, camera.width, camera.height)


def photo_on_mesh(portrait: TrackedPortrait, model: HeadModel, camera: Camera) -> np.ndarray:
    """The bare fitted mesh with the photo projected onto it, (H, W, 3) uint8 on grey."""
    raster = rasterize_view(portrait.vertices, model.faces, camera)
    at = interpolate(raster, model.faces, portrait.camera.project(portrait.vertices))
    image = cv2.remap(portrait.image, at[..., 0] - 0.5, at[..., 1] - 0.5, cv2.INTER_LINEAR)
    image[~raster.covered] = BACKGROUND
    return image


def refind_error(portrait: TrackedPortrait, model: HeadModel, camera: Camera, image: np.ndarray) -> float | None:
    """Median distance, pixels, of the 468 landmarks found in a view to the fitted head's own; None if no face is seen.

    Args:
        camera: of the view.
        image: (H, W, 3) uint8, the portrait's expression and pose seen by that camera.
    """
    found = find_landmarks(image)
    if found is None:
        return None
    expected = camera.project(model.landmark_positions(portrait.vertices))
    return float(np.median(np.linalg.norm(found[:468, :2] - expected[:468], axis=1)))
