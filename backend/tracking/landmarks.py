"""mediapipe's face detectors, 478 face landmarks and person matte, with the models that its wheel carries.

Lugaresi et al. 2019 (MediaPipe); Kartynnik et al. 2019 (the face mesh); Bazarevsky et al. 2019 (BlazeFace).
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

# Read by mediapipe's C++ side when it is first imported: only errors may speak.
os.environ.setdefault("GLOG_minloglevel", "2")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

NUM_LANDMARKS = 478
RIGHT_IRIS, LEFT_IRIS = range(468, 473), range(473, 478)
UPPER_INNER_LIP = (191, 80, 81, 82, 13, 312, 311, 310, 415)
LOWER_INNER_LIP = (95, 88, 178, 87, 14, 317, 402, 318, 324)
FACE_OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
"""In order around the face, from the forehead's middle to the person's left."""

SAME_FACE = 0.4
"""Share of the smaller box that two boxes of one face have in common."""

# The graphs are built once and are not safe to enter twice.
_lock = threading.Lock()


@cache
def _solutions():
    import mediapipe

    return mediapipe.solutions


@cache
def _face_mesh():
    return _solutions().face_mesh.FaceMesh(
        static_image_mode=True, refine_landmarks=True, max_num_faces=1, min_detection_confidence=0.3
    )


@cache
def _face_detection(far: int):
    return _solutions().face_detection.FaceDetection(model_selection=far, min_detection_confidence=0.5)


@cache
def _segmentation():
    return _solutions().selfie_segmentation.SelfieSegmentation(model_selection=0)


def find_landmarks(image: np.ndarray) -> np.ndarray | None:
    """The landmarks of the most prominent face.

    Args:
        image: (H, W, 3) uint8 sRGB.

    Returns:
        (478, 3) float32: pixels, and z in the same unit about the face's middle, towards the camera negative; or None.
    """
    with _lock:
        result = _face_mesh().process(np.ascontiguousarray(image))
    if not result.multi_face_landmarks:
        return None
    height, width = image.shape[:2]
    points = [(p.x * width, p.y * height, p.z * width) for p in result.multi_face_landmarks[0].landmark]
    return np.array(points, np.float32)


@dataclass(frozen=True, eq=False)
class Detection:
    """A face that a detector sees.

    Attributes:
        box: x0, y0, x1, y1 in pixels, from brows to chin.
        score: how sure the detector is, in [0.5, 1].
        tilt: degrees by which the face leans to its left in the image plane, by eyes and mouth.
    """

    box: np.ndarray
    score: float
    tilt: float

    @property
    def width(self) -> float:
        """Pixels."""
        return float(self.box[2] - self.box[0])

    @property
    def centre(self) -> np.ndarray:
        """(2,) pixels."""
        return (self.box[:2] + self.box[2:]) / 2

    def moved(self, offset: float) -> Detection:
        """The same, with both coordinates shifted."""
        return replace(self, box=self.box + offset)


def detect_faces(image: np.ndarray) -> list[Detection]:
    """All faces, the largest first.

    Args:
        image: (H, W, 3) uint8 sRGB.
    """
    found = [_detection(each, image.shape) for far in (0, 1) for each in _detect(image, far)]
    faces: list[Detection] = []
    for face in sorted(found, key=lambda face: -face.score):
        # The two detectors see many faces both, and a tilted one with two boxes.
        same = [k for k, other in enumerate(faces) if _overlap(face.box, other.box) > SAME_FACE]
        if not same:
            faces.append(face)
    return sorted(faces, key=lambda face: -face.width)


def _detect(image: np.ndarray, far: int) -> list:
    with _lock:
        return _face_detection(far).process(np.ascontiguousarray(image)).detections or []


def _detection(found, shape: tuple[int, ...]) -> Detection:
    size = np.array(shape[1::-1], float)
    box = found.location_data.relative_bounding_box
    corners = np.array([box.xmin, box.ymin, box.xmin + box.width, box.ymin + box.height])
    right_eye, left_eye, _, mouth = (
        np.array([point.x, point.y]) * size for point in found.location_data.relative_keypoints[:4]
    )
    down = mouth - (right_eye + left_eye) / 2
    return Detection(
        corners * np.tile(size, 2), float(found.score[0]), float(np.degrees(np.arctan2(-down[0], down[1])))
    )


def _overlap(a: np.ndarray, b: np.ndarray) -> float:
    """The share of the smaller box that both have in common."""
    common = np.prod(np.maximum(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0))
    return common / min(np.prod(a[2:] - a[:2]), np.prod(b[2:] - b[:2]))


def person_matte(image: np.ndarray) -> np.ndarray:
    """How likely each pixel shows the person, (H, W) float32 in [0, 1], soft and rough (from 256 x 256)."""
    with _lock:
        return np.array(_segmentation().process(np.ascontiguousarray(image)).segmentation_mask, np.float32)
