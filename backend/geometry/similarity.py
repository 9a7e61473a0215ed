"""Two spaces that differ by size, turn and place: points and cameras from one to the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backend.protocol.camera import Camera


@dataclass(frozen=True)
class Similarity:
    """x -> scale * rotation @ x + shift."""

    scale: float
    rotation: np.ndarray
    shift: np.ndarray

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Points (n, 3) in the other space."""
        return self.scale * points @ self.rotation.T + self.shift

    def camera(self, camera: Camera) -> Camera:
        """The same camera over the other space: rigid, because the depth is scaled along."""
        pose = np.eye(4)
        pose[:3, :3] = camera.extrinsics[:3, :3] @ self.rotation.T
        pose[:3, 3] = self.scale * camera.extrinsics[:3, 3] - pose[:3, :3] @ self.shift
        return Camera.from_arrays(camera.intrinsics, pose, camera.width, camera.height)


def fit_similarity(points: np.ndarray, onto: np.ndarray) -> Similarity:
    """The least-squares similarity between points (n, 3) (Umeyama 1991)."""
    a, b = points - points.mean(0), onto - onto.mean(0)
    u, singular, v = np.linalg.svd(b.T @ a / len(a))
    sign = np.diag([1, 1, np.sign(np.linalg.det(u @ v))])
    rotation = u @ sign @ v
    scale = float((singular * np.diag(sign)).sum() / (a**2).sum(1).mean())
    return Similarity(scale, rotation, onto.mean(0) - scale * rotation @ points.mean(0))
