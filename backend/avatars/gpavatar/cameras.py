"""Our cameras and head poses in GPAvatar's space, and the portrait as its encoder wants it.

GPAvatar's box is the head's own space times `head_scale`: the head stays still in it (global rotation, neck and
translation are taken out; only expression, jaw and eyes move the points) and the camera moves around it instead, as in
the published tracking. Rays are free: any pinhole can be rendered; trained was a focal length of 12 around the face.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch

from backend.avatars.gpavatar.volume import Rays
from backend.protocol.camera import Camera
from backend.protocol.head_parameters import HeadParameters
from flame import HeadModel

TO_PYTORCH3D = np.diag([-1.0, -1.0, 1.0])
"""OpenCV's axes (x right, y down, z forward) to PyTorch3D's (x left, y up, z forward); its own inverse."""


def box_camera(camera: Camera, head_transform: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """The camera over the still head.

    Args:
        camera: over head space.
        head_transform: (4, 4), where the pose carries the skull, metres.
        scale: metres to the box's unit.

    Returns:
        R (3, 3) and t (3,) of x_camera = R x_box + t, OpenCV's axes, in the box's unit.
    """
    transform = camera.extrinsics @ head_transform
    return transform[:3, :3], transform[:3, 3] * scale


def published_transform(camera: Camera, head_transform: np.ndarray, scale: float) -> np.ndarray:
    """The same as the published code's (3, 4) matrix: R and T of X_view = X R + T (row vectors), PyTorch3D's axes."""
    rotation, translation = box_camera(camera, head_transform, scale)
    return np.hstack([(TO_PYTORCH3D @ rotation).T, (TO_PYTORCH3D @ translation)[:, None]])


def published_camera(transform: np.ndarray, focal_length: float, size: int, scale: float) -> Camera:
    """The inverse: our camera for a published (3, 4) matrix and focal length, over the still head."""
    extrinsics = np.eye(4)
    extrinsics[:3, :3] = TO_PYTORCH3D @ transform[:, :3].T
    extrinsics[:3, 3] = TO_PYTORCH3D @ transform[:, 3] / scale
    half = size / 2
    intrinsics = np.array([[focal_length * half, 0, half], [0, focal_length * half, half], [0, 0, 1]])
    return Camera.from_arrays(intrinsics, extrinsics, size, size)


def camera_rays(camera: Camera, head_transform: np.ndarray, size: int, scale: float) -> tuple[Rays, torch.Tensor]:
    """Rays through size x size places of the image, its borders included, as the published camera lays them.

    Returns:
        Rays (1, size * size, 3) in the box, row by row from the top left, and (size * size,) the cosines between them
        and the camera's axis, which turn distances along the rays into depths.
    """
    rotation, translation = box_camera(camera, head_transform, scale)
    y, x = np.meshgrid(np.linspace(0, camera.height, size), np.linspace(0, camera.width, size), indexing="ij")
    directions = np.stack([x, y, np.ones_like(x)], -1).reshape(-1, 3) @ np.linalg.inv(camera.intrinsics).T
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    origins = np.broadcast_to(-rotation.T @ translation, directions.shape)
    to_tensor = lambda array: torch.from_numpy(np.ascontiguousarray(array, np.float32))  # noqa: E731
    return Rays(to_tensor(origins)[None], to_tensor(directions @ rotation)[None]), to_tensor(directions[:, 2])


def head_points(model: HeadModel, betas: np.ndarray, parameters: HeadParameters, scale: float) -> np.ndarray:
    """The head model's vertices (V, 3) float32 in the box: identity, expression, jaw and eyes."""
    pose = parameters.joint_rotations.copy()
    pose[:2] = 0
    return model.forward(betas, np.array(parameters.expression, np.float32), pose).vertices * np.float32(scale)


def rectify(image: np.ndarray, matte: np.ndarray, camera: Camera, size: int, scale: float) -> np.ndarray:
    """The portrait as the tri-plane encoder wants it: seen square on, over black (the published `perspective_input`).

    The box's square at z = 0 is brought onto the image's corner pixels. The published code cuts the projected corners
    down to whole pixels; here they keep their fractions.

    Args:
        image: (H, W, 3) uint8 sRGB.
        matte: (H, W) float32 in [0, 1].
        camera: the portrait's, over head space, H x W pixels.
        size: pixels of the result.
        scale: metres to the box's unit.

    Returns:
        (3, size, size) float32 in [0, 1].
    """
    corners = np.array([[-1, 1, 0], [1, 1, 0], [1, -1, 0], [-1, -1, 0]]) / scale
    # OpenCV counts from the middle of the first pixel.
    seen = (camera.project(corners) - 0.5).astype(np.float32)
    last = size - 1
    wanted = np.array([[0, 0], [last, 0], [last, last], [0, last]], np.float32)
    over_black = image.astype(np.float32) / 255 * matte[..., None]
    warped = cv2.warpPerspective(over_black, cv2.getPerspectiveTransform(seen, wanted), (size, size))
    return np.ascontiguousarray(warped.transpose(2, 0, 1).clip(0, 1))
