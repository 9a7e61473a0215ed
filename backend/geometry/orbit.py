"""Turns about the head's axes, and cameras that go round a head."""

from __future__ import annotations

import numpy as np

from backend.protocol.camera import Camera

TO_CAMERA_AXES = np.diag([1.0, -1.0, -1.0])
"""Head axes (y up, face towards +z) to a camera's in front of it (y down, z forward)."""


def rotation(yaw: float, pitch: float, roll: float = 0.0) -> np.ndarray:
    """(3, 3) turn about y, then x, then z; radians, head axes."""
    cy, sy, cp, sp, cr, sr = (f(a) for a in (yaw, pitch, roll) for f in (np.cos, np.sin))
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return about_z @ about_x @ about_y


def orbit(camera: Camera, center: np.ndarray, yaw: float, pitch: float) -> Camera:
    """The camera turned about a point; positive yaw (degrees) shows the head turned to its own left."""
    turn = np.eye(4)
    turn[:3, :3] = rotation(*np.radians([yaw, pitch]))
    turn[:3, 3] = center - turn[:3, :3] @ center
    return Camera.from_arrays(camera.intrinsics, camera.extrinsics @ turn, camera.width, camera.height)


def camera_from_side(camera: Camera, yaw: float, pitch: float, size: int) -> Camera:
    """A portrait's camera moved about the head's upright axis, framing what it framed.

    Args:
        camera: the portrait's, square.
        yaw, pitch: degrees; positive yaw shows the person's left side, positive pitch looks from above.
        size: pixels of the new camera's sides.
    """
    return orbit(camera, np.zeros(3), -yaw, pitch).crop(0, 0, camera.width, size)


def camera_ahead(camera: Camera, size: int) -> Camera:
    """A portrait's camera moved to where the head at rest looks straight into it, framing what it framed.

    Args:
        camera: the portrait's, square.
        size: pixels of the new camera's sides.
    """
    extrinsics = camera.extrinsics.copy()
    extrinsics[:3, :3] = TO_CAMERA_AXES
    return Camera.from_arrays(camera.intrinsics, extrinsics, camera.width, camera.height).crop(0, 0, camera.width, size)
