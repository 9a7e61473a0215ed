"""mediapipe's face detectors, 478 face landmarks and person matte, with the models that its wheel carries.

Lugaresi et al. 2019 (MediaPipe); Kartynnik et al. 2019 (the face mesh); Bazarevsky et al. 2019 (BlazeFace).
"""

from __future__ import annotations

import os
import threading
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


def find_faces(image: np.ndarray) -> np.ndarray:
    """Boxes (n, 4) of all faces as x0, y0, x1, y1 in pixels, the largest first; each spans brows to chin.

    Args:
        image: (H, W, 3) uint8 sRGB.
    """
    height, width = image.shape[:2]
    found: list[tuple[float, np.ndarray]] = []
    for far in (0, 1):
        with _lock:
            result = _face_detection(far).process(np.ascontiguousarray(image))
        for detection in result.detections or ():
            box = detection.location_data.relative_bounding_box
            corners = np.array([box.xmin, box.ymin, box.xmin + box.width, box.ymin + box.height])
            found.append((box.width * width, corners * [width, height, width, height]))
    boxes: list[np.ndarray] = []
    for _, box in sorted(found, key=lambda f: -f[0]):
        centre = (box[:2] + box[2:]) / 2
        # The two detectors see many faces both.
        if all(np.abs(centre - (b[:2] + b[2:]) / 2).max() > 0.5 * (b[2] - b[0]) for b in boxes):
            boxes.append(box)
    return np.array(boxes).reshape(-1, 4)


def person_matte(image: np.ndarray) -> np.ndarray:
    """How likely each pixel shows the person, (H, W) float32 in [0, 1], soft and rough (from 256 x 256)."""
    with _lock:
        return np.array(_segmentation().process(np.ascontiguousarray(image)).segmentation_mask, np.float32)
