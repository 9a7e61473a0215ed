"""What every data set becomes: a moment of one person, seen by a frontal reference and several target cameras."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from backend.protocol.camera import Camera


class Unusable(Exception):
    """A picture, camera, moment or identity that cannot be used; the message says why, for the summary."""


@dataclass(frozen=True)
class SourceCamera:
    """A calibrated camera as published, but in our conventions.

    Attributes:
        K: (3, 3) float64, pixels of the picture as it lies on the disk; the centre of its first pixel is at (0.5, 0.5).
        world_to_camera: (4, 4) float64, rigid, OpenCV axes, metres.
        width, height: of the picture, pixels.
        distortion: k1, k2, p1, p2 of OpenCV's radial and tangential model.
    """

    K: np.ndarray
    world_to_camera: np.ndarray
    width: int
    height: int
    distortion: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0)

    @property
    def center(self) -> np.ndarray:
        """(3,) the camera's place in the world."""
        return -self.world_to_camera[:3, :3].T @ self.world_to_camera[:3, 3]

    def resized(self, width: int, height: int) -> SourceCamera:
        """The camera of the same picture scaled to another size, which it does not need to be scaled to evenly."""
        scale = np.diag([width / self.width, height / self.height, 1.0])
        return SourceCamera(scale @ self.K, self.world_to_camera, width, height, self.distortion)


@dataclass(frozen=True)
class CapturedPicture:
    """One camera's picture of a moment, not read yet.

    Attributes:
        name: the camera, for people.
        camera: of the picture at the size that `read` gives.
        read: gives (H, W, 3) uint8 sRGB; raises Unusable.
        read_mask: gives (H', W') uint8, 255 where the person is, of any size; None where the data has none.
        read_head: likewise, 255 where head or bare neck is rather than clothes.
    """

    name: str
    camera: SourceCamera
    read: Callable[[], np.ndarray]
    read_mask: Callable[[], np.ndarray] | None = None
    read_head: Callable[[], np.ndarray] | None = None


@dataclass(frozen=True)
class Capture:
    """A moment of one person, seen by several cameras at once.

    Attributes:
        source: the data set; identity: the person in it; moment: sequence and frame.
        pictures: at most one per camera.
        flame: the data's own FLAME tracking of the moment by the names that it has there; empty where it has none.
        notes: what is missing of it, for the summary.
    """

    source: str
    identity: str
    moment: str
    pictures: tuple[CapturedPicture, ...]
    flame: Mapping[str, np.ndarray] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class CapturedView:
    """An aligned picture, S x S.

    Attributes:
        name: the camera.
        image: (S, S, 3) uint8 sRGB.
        mask: (S, S) uint8, 255 where the person is; None where the data has none.
        head: (S, S) uint8, 255 where head or bare neck is rather than clothes; None where the data has none.
        camera: pinhole, over the subject's space (see `CaptureSubject`).
        yaw, pitch: degrees off the frontal view, signed as by `backend.geometry.orbit.orbit`.
    """

    name: str
    image: np.ndarray
    mask: np.ndarray | None
    head: np.ndarray | None
    camera: Camera
    yaw: float
    pitch: float


@dataclass(frozen=True)
class CaptureSubject:
    """A moment of one person as every loader gives it.

    The cameras are over a space in metres with FLAME's axes: x to the person's left, y up, the face towards +z; the
    origin is the middle of the alignment (see `alignment.HeadFrame`).

    Attributes:
        source, identity, moment: see `Capture`.
        reference: the frontal view. targets: the other V views.
        photo: (P, P, 3) uint8, the reference's picture cut wider, from which an avatar is registered.
        photo_margin: pixels of `photo` around what the reference shows: left and above.
        photo_side: pixels of `photo` that the reference's side covers.
        landmarks: (478, 3) float64, mediapipe's landmarks triangulated, in the subject's space.
        flame: see `Capture`.
    """

    source: str
    identity: str
    moment: str
    reference: CapturedView
    targets: tuple[CapturedView, ...]
    photo: np.ndarray
    photo_margin: tuple[float, float]
    photo_side: float
    landmarks: np.ndarray
    flame: Mapping[str, np.ndarray]
