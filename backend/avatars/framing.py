"""How a head is framed: the square around it that shows it as its portrait does, in any camera and pose."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backend.protocol.camera import Camera
from backend.protocol.head_parameters import HeadParameters
from backend.tracking import TrackedPortrait
from flame.rotations import axis_angle_to_matrix
from flame.skinning import joint_transforms

INSIDE_HEAD = 0.09
"""Metres from the head's centre within which a camera is inside the head and sees nothing."""
NECK = 1
"""The joint that carries the head."""


@dataclass(frozen=True)
class HeadFraming:
    """The rigid part of a head.

    Attributes:
        centre: (3,) metres at rest, between the ears; the face is what a framing is about, hair and hats follow it.
        joints: (5, 3) rest positions; parents: (5,).
        portrait: the portrait's camera.
    """

    centre: np.ndarray
    joints: np.ndarray
    parents: np.ndarray
    portrait: Camera

    @classmethod
    def of(cls, tracked: TrackedPortrait, joints: np.ndarray, parents: np.ndarray) -> HeadFraming:
        """The framing of a tracked portrait."""
        low, high = tracked.neutral_vertices.min(0), tracked.neutral_vertices.max(0)
        centre = np.array([0.0, (0.35 * low + 0.65 * high)[1], (low + high)[2] / 2])
        return cls(centre, joints, parents, tracked.camera)

    def head_transform(self, parameters: HeadParameters) -> np.ndarray:
        """(4, 4): where the global rotation, the neck and the translation carry the skull."""
        rotations = axis_angle_to_matrix(parameters.joint_rotations)
        transform = joint_transforms(self.joints, self.parents, rotations)[NECK]
        transform[:3, 3] += parameters.translation
        return transform

    def posed_centre(self, parameters: HeadParameters) -> np.ndarray:
        """(3,) metres in head space."""
        transform = self.head_transform(parameters)
        return transform[:3, :3] @ self.centre + transform[:3, 3]

    def inside(self, camera: Camera, parameters: HeadParameters) -> bool:
        """Whether the camera stands in the head."""
        return bool(np.linalg.norm(camera.center - self.posed_centre(parameters)) < INSIDE_HEAD)

    def turned(self, camera: Camera, parameters: HeadParameters) -> float:
        """Radians between the portrait's line of sight to the head and this camera's, in the head's own frame."""
        transform = self.head_transform(parameters)
        now = transform[:3, :3].T @ (camera.center - transform[:3, 3]) - self.centre
        then = self.portrait.center - self.centre
        return float(np.arctan2(np.linalg.norm(np.cross(now, then)), now @ then))

    def bounds(self, camera: Camera, parameters: HeadParameters) -> tuple[float, float, float] | None:
        """The square (x0, y0, side), in pixels, that frames the head as the portrait was framed; None if unseen."""
        centre = self.posed_centre(parameters)
        depth = camera.to_camera(centre)[2]
        if depth < INSIDE_HEAD:
            return None
        portrait = self.portrait
        scale = (camera.intrinsics[1, 1] / depth) / (portrait.intrinsics[1, 1] / portrait.to_camera(self.centre)[2])
        side = portrait.width * scale
        x, y = camera.project(centre) - portrait.project(self.centre) * scale
        return float(x), float(y), float(side)
