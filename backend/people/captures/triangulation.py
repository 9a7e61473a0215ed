"""A face's landmarks in space, from the cameras that see it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import cv2
import numpy as np

from backend.people.captures.alignment import LEFT_EYE, RIGHT_EYE
from backend.people.captures.subject import SourceCamera, Unusable

EYE_DISTANCE = 0.063
"""Metres between the pupils of a mean adult (Dodgson 2004): the scale where only one camera sees the face."""
FARTHEST = 0.12
"""Of the eye distance, in the picture: a view whose landmarks lie farther off than that is not believed."""
LEAST_ANGLE = 4.0
"""Degrees between two cameras; nearer ones do not tell the depth."""
MOST_PAIRS, EVERY = 60, 12
"""So many pairs are tried, on every so manyth landmark."""


def triangulate(views: Sequence[tuple[SourceCamera, np.ndarray]]) -> np.ndarray:
    """Landmarks in the world.

    The linear (DLT) triangulation of Hartley and Zisserman, section 12.2, over the views that the best pair agrees with
    (Fischler and Bolles 1981). A single view's landmarks get the depth of a mean adult's face.

    Args:
        views: cameras, and mediapipe's landmarks (478, 3) in the pixels of their pictures.

    Returns:
        (478, 3) float64, metres.

    Raises:
        Unusable: no view, or views that disagree.
    """
    if not views:
        raise Unusable("no camera sees a face")
    cameras, found = [camera for camera, _ in views], [np.asarray(points, float) for _, points in views]
    rays = np.stack([_undistorted(camera, points[:, :2]) for camera, points in zip(cameras, found, strict=True)])
    size = np.array([_eye_distance(camera, points) for camera, points in zip(cameras, found, strict=True)])
    pairs = [pair for pair in combinations(range(len(views)), 2) if _angle(cameras, rays, pair) > LEAST_ANGLE]
    if not pairs:
        best = int(size.argmax())
        return _lifted(cameras[best], found[best], rays[best], size[best])
    pairs = [pairs[i] for i in np.random.default_rng(0).permutation(len(pairs))[:MOST_PAIRS]]
    agreeing = max((_agreeing(cameras, rays[:, ::EVERY], size, pair) for pair in pairs), key=len)
    if len(agreeing) < 2:
        raise Unusable("the cameras do not agree on where the face is")
    return _solve([cameras[i] for i in agreeing], rays[agreeing])


def _undistorted(camera: SourceCamera, pixels: np.ndarray) -> np.ndarray:
    """(n, 2) on the plane at depth 1."""
    return cv2.undistortPoints(pixels[:, None], camera.K, np.array(camera.distortion))[:, 0]


def _eye_distance(camera: SourceCamera, points: np.ndarray) -> float:
    """On the plane at depth 1, with mediapipe's depth, so that a turned face is not smaller."""
    right, left = (points[list(index)].mean(0) for index in (RIGHT_EYE, LEFT_EYE))
    return float(np.linalg.norm(left - right) / camera.K[0, 0])


def _angle(cameras: Sequence[SourceCamera], rays: np.ndarray, pair: tuple[int, int]) -> float:
    """Degrees between the directions in which two cameras see the face."""
    a, b = (cameras[i].world_to_camera[:3, :3].T @ [*rays[i].mean(0), 1] for i in pair)
    return float(np.degrees(np.arccos(np.clip(a @ b / np.linalg.norm(a) / np.linalg.norm(b), -1, 1))))


def _agreeing(cameras: Sequence[SourceCamera], rays: np.ndarray, size: np.ndarray, pair: tuple[int, int]) -> list[int]:
    """The views that see the face where a pair does."""
    points = _solve([cameras[i] for i in pair], rays[list(pair)])
    return [i for i, camera in enumerate(cameras) if _error(camera, points, rays[i]) < FARTHEST * size[i]]


def _solve(cameras: Sequence[SourceCamera], rays: np.ndarray) -> np.ndarray:
    poses = np.stack([camera.world_to_camera[:3] for camera in cameras])
    # x P3 - P1 and y P3 - P2 for each view and point.
    rows = rays[..., None] * poses[:, None, 2:3] - poses[:, None, :2]
    rows = rows.transpose(1, 0, 2, 3).reshape(rays.shape[1], -1, 4)
    solution = np.linalg.svd(rows)[2][:, -1]
    return solution[:, :3] / solution[:, 3:]


def _error(camera: SourceCamera, points: np.ndarray, rays: np.ndarray) -> float:
    """Median distance on the plane at depth 1; infinite behind the camera."""
    seen = points @ camera.world_to_camera[:3, :3].T + camera.world_to_camera[:3, 3]
    if (seen[:, 2] <= 0).any():
        return float("inf")
    return float(np.median(np.linalg.norm(seen[:, :2] / seen[:, 2:] - rays, axis=1)))


def _lifted(camera: SourceCamera, found: np.ndarray, rays: np.ndarray, size: float) -> np.ndarray:
    depth = EYE_DISTANCE / size
    z = depth * (1 + found[:, 2:] / camera.K[0, 0])
    seen = np.concatenate([rays, np.ones((len(rays), 1))], 1) * z
    return (seen - camera.world_to_camera[:3, 3]) @ camera.world_to_camera[:3, :3]
