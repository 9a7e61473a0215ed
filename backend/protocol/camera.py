"""The pinhole camera that every part of the system speaks: intrinsics in pixels, OpenCV axes."""

from __future__ import annotations

import msgspec
import numpy as np


class Camera(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A pinhole camera over head space.

    Attributes:
        K: the 3x3 intrinsics in pixels, row by row (9 floats). The centre of the top left pixel is at (0.5, 0.5), so
            the image spans [0, width] x [0, height]. The principal point is free (lens shift, crops).
        world_to_camera: the rigid 4x4 transform from head space to the camera's axes, row by row (16 floats):
            x right, y down, z forward, metres.
        width, height: image size in pixels.
        model: the lens model; only "pinhole" is served, others are refused with a clear error.
    """

    K: tuple[float, ...]
    world_to_camera: tuple[float, ...]
    width: int
    height: int
    model: str = "pinhole"

    @classmethod
    def from_arrays(cls, K: np.ndarray, world_to_camera: np.ndarray, width: int, height: int) -> Camera:
        """Build a camera from a (3, 3) and a (4, 4) array."""
        return cls(
            tuple(float(x) for x in np.asarray(K, float).reshape(9)),
            tuple(float(x) for x in np.asarray(world_to_camera, float).reshape(16)),
            int(width),
            int(height),
        )

    @property
    def intrinsics(self) -> np.ndarray:
        """(3, 3) float64."""
        return np.array(self.K, float).reshape(3, 3)

    @property
    def extrinsics(self) -> np.ndarray:
        """(4, 4) float64, head space to camera."""
        return np.array(self.world_to_camera, float).reshape(4, 4)

    @property
    def center(self) -> np.ndarray:
        """(3,) float64, the camera's place in head space."""
        extrinsics = self.extrinsics
        return -extrinsics[:3, :3].T @ extrinsics[:3, 3]

    def to_camera(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 3) in head space to camera space (..., 3)."""
        m = self.extrinsics
        return points @ m[:3, :3].T + m[:3, 3]

    def to_screen(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 3) in head space to pixel coordinates and depth (..., 3); meaningless behind the camera."""
        homogeneous = self.to_camera(points) @ self.intrinsics.T
        return np.concatenate([homogeneous[..., :2] / homogeneous[..., 2:], homogeneous[..., 2:]], -1)

    def project(self, points: np.ndarray) -> np.ndarray:
        """The pixel coordinates (..., 2) alone."""
        return self.to_screen(points)[..., :2]

    def unproject(self, pixels: np.ndarray, depth: np.ndarray) -> np.ndarray:
        """Pixel coordinates (n, 2) at depths (n,) along the camera's axis, metres, to points (n, 3) in head space."""
        rays = np.concatenate([pixels, np.ones((len(pixels), 1))], 1) @ np.linalg.inv(self.intrinsics).T
        to_head = np.linalg.inv(self.extrinsics)
        return (rays * depth[:, None]) @ to_head[:3, :3].T + to_head[:3, 3]

    def crop(self, x0: float, y0: float, side: float, size: int) -> Camera:
        """The camera that sees this camera's square [x0, x0 + side] x [y0, y0 + side] (pixels) as size x size."""
        scale = size / side
        window = np.array([[scale, 0, -x0 * scale], [0, scale, -y0 * scale], [0, 0, 1.0]])
        return Camera.from_arrays(window @ self.intrinsics, self.extrinsics, size, size)
