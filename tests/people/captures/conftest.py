"""A real person's head, seen by a rig of calibrated cameras: what the published layouts are filled with."""

from dataclasses import dataclass

import cv2
import numpy as np
import pytest

from backend.avatars.bust import register_bust
from backend.evaluation.portraits import real_portraits
from backend.geometry.orbit import orbit, rotation
from backend.protocol.camera import Camera
from flame import load_head_model

WIDTH, HEIGHT = 275 * 2, 401 * 2
YAWS = (-40, -20, 3, 20, 40, 150)
GREY = 110


@dataclass(frozen=True)
class Shot:
    """One camera of the rig: over the head's space and over the world, and its picture and mask."""

    name: str
    yaw: float
    over_head: Camera
    world_to_camera: np.ndarray
    image: np.ndarray
    mask: np.ndarray


@dataclass(frozen=True)
class Rig:
    """The avatar in the world, and all shots of it."""

    avatar: object
    head_to_world: np.ndarray
    shots: tuple[Shot, ...]

    def picture(self, camera: Camera) -> np.ndarray:
        """What a camera over the head's space sees, over grey."""
        view = self.avatar.render([camera], self.avatar.tracked.parameters)[0]
        alpha = view.rgba[..., 3:] / np.float32(255)
        return np.rint(view.rgba[..., :3] * alpha + GREY * (1 - alpha)).astype(np.uint8)


@pytest.fixture(scope="session")
def rig() -> Rig:
    avatar = register_bust(real_portraits()["astronaut"], load_head_model())
    tracked = avatar.tracked
    K = np.array([[2000, 0, WIDTH / 2 + 4], [0, 2000, HEIGHT / 2 - 10], [0, 0, 1]])
    head_to_world = np.eye(4)
    head_to_world[:3, :3] = rotation(0.4, -0.2, 0.3)
    head_to_world[:3, 3] = 0.3, -0.1, 0.7
    rig, shots = Rig(avatar, head_to_world, ()), []
    for number, yaw in enumerate(YAWS):
        turned = orbit(tracked.camera, tracked.vertices.mean(0), yaw, 4 * (number % 2))
        roll = np.eye(4)
        roll[:3, :3] = cv2.Rodrigues(np.array([0, 0, 0.1 * (number - 2)]))[0]
        camera = Camera.from_arrays(K, roll @ turned.extrinsics, WIDTH, HEIGHT)
        image = rig.picture(camera)
        mask = avatar.render([camera], tracked.parameters)[0].rgba[..., 3]
        pose = camera.extrinsics @ np.linalg.inv(head_to_world)
        shots.append(Shot(f"{222200036 + number}", yaw, camera, pose, image, mask))
    return Rig(avatar, head_to_world, tuple(shots))
