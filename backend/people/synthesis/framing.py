"""Cameras: the portrait's from the front, the other views' from around."""

from __future__ import annotations

import numpy as np

from backend.geometry.orbit import TO_CAMERA_AXES, rotation
from backend.protocol.camera import Camera

FACE_SHARE = (0.34, 0.46)
"""Forehead to chin as a share of the picture's side."""
YAW_BANDS = ((5, 35), (35, 75), (75, 180))
"""Degrees off the front, by turns."""
PORTRAIT_YAWS = ((0, 12), (0, 12), (12, 30))
"""Two of three portraits look nearly at the camera."""
MOST_PITCH = 25.0
NEAR, FAR = 0.5, 2.2
"""Metres from a phone at arm's length to a portrait lens."""


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
        yaw = rng.choice([-1, 1]) * rng.uniform(*PORTRAIT_YAWS[rng.integers(len(PORTRAIT_YAWS))])
        pitch = rng.uniform(-8, 8)
    else:
        # Views that follow each other look from both sides.
        side = 1 if (seed + view) % 2 else -1
        yaw = side * rng.uniform(*YAW_BANDS[(view - 1) % len(YAW_BANDS)])
        pitch = rng.uniform(-MOST_PITCH, MOST_PITCH)
    distance = np.exp(rng.uniform(np.log(NEAR), np.log(FAR)))
    focal = distance / height * rng.uniform(*FACE_SHARE) * size
    turn = TO_CAMERA_AXES @ rotation(*np.radians([yaw, pitch, rng.uniform(-3, 3)])) @ turned.T
    # Turned about a point inside the head, so that profiles stay in the middle.
    pivot = middle - turned @ [0, 0, 0.05]
    pose = np.eye(4)
    pose[:3, :3] = turn
    pose[:3, 3] = [0, 0, distance + 0.05] - turn @ pivot
    shift = size * rng.uniform(-0.02, 0.02, 2)
    K = np.array([[focal, 0, size / 2 + shift[0]], [0, focal, 0.49 * size + shift[1]], [0, 0, 1]])
    return Camera.from_arrays(K, pose, size, size), np.array([yaw, pitch])
