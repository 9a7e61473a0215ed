"""The one alignment of all data: PanoHead's crop, taken in space so that every camera of a moment agrees on it.

PanoHead (An et al. 2023; `3DDFA_V2_cropping/recrop_images.py` of its repository) takes FFHQ's square, which eyes and
mouth corners span, scales it to the size of the head without foreshortening, and shows 5 % more to the left and right
and 10 % more above. Here the eyes and mouth corners are points in space, and the square's middle lies inside the head,
as the origin of PanoHead's space does, so that views from the side show the whole head as well.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from backend.people.captures.subject import SourceCamera, Unusable
from backend.protocol.camera import Camera

RIGHT_EYE, LEFT_EYE, RIGHT_MOUTH, LEFT_MOUTH = (33, 133), (362, 263), (61,), (291,)
"""mediapipe's landmarks: the corners of the person's eyes, and of the mouth."""
EYE_REACH, MOUTH_REACH, MOUTH_SHARE = 2.0, 1.8, 0.1
"""FFHQ: half the square's side in eye distances and in distances of eyes to mouth; its middle below the eyes."""
DEEP = 0.45
"""How far behind eyes and mouth the middle lies, in halves of the square: about 57 mm, between face and ears."""
BESIDE, ABOVE = 0.05, 0.10
"""PanoHead: what is shown beyond the square, in its sides."""
MOST_FINE = 8


@dataclass(frozen=True)
class HeadFrame:
    """Where a head is.

    Attributes:
        origin: (3,) the middle of FFHQ's square, moved into the head.
        axes: (3, 3), rows: to the person's left, up, out of the face.
        half: metres, half the square's side.
    """

    origin: np.ndarray
    axes: np.ndarray
    half: float

    @classmethod
    def of_landmarks(cls, points: np.ndarray) -> HeadFrame:
        """From mediapipe's landmarks (478, 3) in the world.

        Raises:
            Unusable: they do not span a face.
        """
        right, left, mouth_right, mouth_left = (
            points[list(index)].mean(0) for index in (RIGHT_EYE, LEFT_EYE, RIGHT_MOUTH, LEFT_MOUTH)
        )
        across, eyes = left - right, (left + right) / 2
        down = (mouth_left + mouth_right) / 2 - eyes
        inward = np.cross(across, down)
        if not np.isfinite(points).all() or np.linalg.norm(inward) < 1e-9:
            raise Unusable("the landmarks do not span a face")
        inward /= np.linalg.norm(inward)
        x = across + np.cross(down, inward)
        x /= np.linalg.norm(x)
        half = float(max(EYE_REACH * np.linalg.norm(across), MOUTH_REACH * np.linalg.norm(down)))
        origin = eyes + MOUTH_SHARE * down + DEEP * half * inward
        return cls(origin, np.stack([x, -np.cross(inward, x), -inward]), half)

    @property
    def to_world(self) -> np.ndarray:
        """(4, 4) from the head's own space."""
        matrix = np.eye(4)
        matrix[:3, :3], matrix[:3, 3] = self.axes.T, self.origin
        return matrix

    def angles(self, place: np.ndarray) -> tuple[float, float]:
        """Yaw and pitch, degrees, of the view that a camera at a place (3,) has of the head."""
        x, y, z = self.axes @ (place - self.origin)
        return float(np.degrees(np.arctan2(-x, z))), float(np.degrees(np.arctan2(y, np.hypot(x, z))))


def aligned_camera(camera: SourceCamera, frame: HeadFrame, size: int, margin: float = 0.0) -> Camera:
    """The pinhole camera at the same place that shows the head aligned.

    Args:
        camera: as published.
        frame: the head.
        size: of the aligned picture, pixels.
        margin: how much more is shown on each side, in sides of the aligned picture; the scale stays.

    Returns:
        Over the head's own space (`frame.to_world`), `size * (1 + 2 margin)` pixels square.

    Raises:
        Unusable: the head is behind the camera, or the camera looks along the head's own axis.
    """
    to_camera = camera.world_to_camera @ frame.to_world
    depth = to_camera[2, 3]
    if depth < 2 * frame.half:
        raise Unusable("the head is not in front of the camera")
    down = -to_camera[:2, 1]
    if np.linalg.norm(down) < 0.3:
        raise Unusable("the camera looks at the head from above or below")
    down /= np.linalg.norm(down)
    roll = np.eye(4)
    roll[:2, :2] = [[down[1], -down[0]], [down[0], down[1]]]
    to_camera = roll @ to_camera
    focal = size * depth / (2 * frame.half * (1 + 2 * BESIDE))
    middle = focal * to_camera[:2, 3] / depth
    side = 1 + 2 * BESIDE
    wanted = size * np.array([0.5 + margin, (ABOVE + 0.5) / side + margin])
    cx, cy = wanted - middle
    K = np.array([[focal, 0, cx], [0, focal, cy], [0, 0, 1]])
    pixels = round(size * (1 + 2 * margin))
    return Camera.from_arrays(K, to_camera, pixels, pixels)


def cut(picture: np.ndarray, source: SourceCamera, frame: HeadFrame, camera: Camera, border: int | None = None):
    """What an aligned camera shows, from the published picture: undistorted, turned, cropped and scaled in one go.

    Args:
        picture: (H, W) or (H, W, 3) uint8, of any size that shows what `source` shows.
        source, frame, camera: as given to and by `aligned_camera`.
        border: the value beyond the picture; None repeats its border.

    Returns:
        (S, S) or (S, S, 3) uint8.
    """
    source = source.resized(picture.shape[1], picture.shape[0])
    turn: np.ndarray = (camera.extrinsics @ np.linalg.inv(frame.to_world) @ np.linalg.inv(source.world_to_camera))[
        :3, :3
    ]
    # Several samples a pixel where the picture is finer, so that nothing flickers or aliases.
    fine = int(np.clip(np.ceil(source.K[0, 0] / camera.intrinsics[0, 0]), 1, MOST_FINE))
    target = np.diag([fine, fine, 1.0]) @ camera.intrinsics
    half_pixel = np.array([[0, 0, -0.5], [0, 0, -0.5], [0, 0, 0]])
    maps = cv2.initUndistortRectifyMap(
        source.K + half_pixel, np.array(source.distortion, float), turn, target + half_pixel,
        (fine * camera.width, fine * camera.height), cv2.CV_32FC1,
    )  # fmt: skip
    mode = cv2.BORDER_REPLICATE if border is None else cv2.BORDER_CONSTANT
    interpolation = cv2.INTER_LINEAR if fine > 1 else cv2.INTER_CUBIC
    warped = cv2.remap(picture, *maps, interpolation, borderMode=mode, borderValue=(border or 0,) * 3)
    return cv2.resize(warped, (camera.width, camera.height), interpolation=cv2.INTER_AREA)
