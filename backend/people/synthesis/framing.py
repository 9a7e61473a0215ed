"""Cameras: the portrait's from the front, the other views' from around."""

from __future__ import annotations

import numpy as np

from backend.geometry.orbit import TO_CAMERA_AXES, rotation
from backend.protocol.camera import Camera

FACE_SHARE = (0.34, 0.40)
"""Forehead to chin as a share of the picture's side; the tracker's crop, 2.5 faces wide, then lies inside it."""
YAW_BANDS = ((8, 25), (25, 50), (8, 35), (35, 60))
"""Degrees off the front, by turns."""


def draw_camera(
    rng: np.random.Generator, face: np.ndarray, turned: np.ndarray, size: int, seed: int, view: int
) -> tuple[Camera, np.ndarray]:
    """A camera that looks at a face, and its yaw and pitch off the front, degrees.

    Args:
        face: (N, 3) points of the face, from forehead to chin, head space.
        turned: (3, 3) how the head is turned: its front is what the angles are off.
        seed: the person's, which decides the side that the first view looks from.
        view: 0 for the portrait.
    """
    low, high = face.min(0), face.max(0)
    middle, height = (low + high) / 2, high[1] - low[1]
    if view == 0:
        yaw, pitch = rng.uniform(-8, 8), rng.uniform(-6, 6)
    else:
        # Two views of a moment look from both sides.
        side = 1 if (seed + view) % 2 else -1
        yaw = side * rng.uniform(*YAW_BANDS[(view - 1) % len(YAW_BANDS)])
        pitch = rng.uniform(-14, 14)
    focal = size * rng.uniform(2.0, 3.4)
    distance = focal * height / (rng.uniform(*FACE_SHARE) * size)
    turn = TO_CAMERA_AXES @ rotation(*np.radians([yaw, pitch, rng.uniform(-3, 3)])) @ turned.T
    # Turned about a point inside the head, so that profiles stay in the middle.
    pivot = middle - turned @ [0, 0, 0.05]
    pose = np.eye(4)
    pose[:3, :3] = turn
    pose[:3, 3] = [0, 0, distance + 0.05] - turn @ pivot
    shift = size * rng.uniform(-0.02, 0.02, 2)
    K = [[focal, 0, size / 2 + shift[0]], [0, focal, 0.49 * size + shift[1]], [0, 0, 1]]
    return Camera.from_arrays(K, pose, size, size), np.array([yaw, pitch])
