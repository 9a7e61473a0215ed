"""Faces and their 478 landmarks: MediaPipe's 468 of the face and five of each iris, in its order."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from backend.tracking.face_detection import FAR, LEFT_EYE, MOUTH, NEAR, NOSE, RIGHT_EYE
from backend.tracking.face_mesh import find_eyes, find_irises, find_mesh, mesh_in, roi_of

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

PROFILE = 0.15
"""Box widths that the nose lies beyond both eyes on a face seen from the side: mostly 0.15 to 0.23 from 75 degrees on;
on what is taken for a face from the front it lies between them."""

LEAST_SCORES = ((NEAR, 0.5), (FAR, 0.6))
"""Of the detectors; those that MediaPipe's own graphs have."""


def find_landmarks(image: np.ndarray) -> np.ndarray | None:
    """The landmarks of the most prominent face.

    Args:
        image: (H, W, 3) uint8 sRGB.

    Returns:
        (478, 3) float32: pixels, and z in the same unit about the face's middle, towards the camera negative; or None.
    """
    mesh = find_mesh(image)
    return None if mesh is None else np.concatenate([mesh, find_irises(image, mesh)]).astype(np.float32)


def find_again(image: np.ndarray, before: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """The landmarks of the face that had the landmarks `before` a moment ago.

    Returns:
        As `find_landmarks`, and (2,) how far open the right and the left eye are, see `find_eyes`; or None.
    """
    mesh = mesh_in(image, roi_of(before))
    if mesh is None:
        return None
    irises, openings = find_eyes(image, mesh)
    return np.concatenate([mesh, irises]).astype(np.float32), openings


@dataclass(frozen=True, eq=False)
class Detection:
    """A face that a detector sees.

    Attributes:
        box: x0, y0, x1, y1 in pixels, from brows to chin.
        score: how sure the detector is, in [0.5, 1].
        tilt: degrees by which the face leans to its left in the image plane, by eyes and mouth.
        profile: it is seen from the side.
    """

    box: np.ndarray
    score: float
    tilt: float
    profile: bool = False

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
    found = [
        _detection(score, points)
        for detector, least in LEAST_SCORES
        for score, points in zip(*detector(image, least), strict=True)
    ]
    faces: list[Detection] = []
    for face in sorted(found, key=lambda face: -face.score):
        # The two detectors see many faces both, and a tilted one with two boxes.
        same = [k for k, other in enumerate(faces) if _overlap(face.box, other.box) > SAME_FACE]
        if not same:
            faces.append(face)
    return sorted(faces, key=lambda face: -face.width)


def _detection(score: float, points: np.ndarray) -> Detection:
    """Of a detector's score and points (8, 2)."""
    marks = points[2:]
    eyes = marks[[RIGHT_EYE, LEFT_EYE]]
    down = marks[MOUTH] - eyes.mean(0)
    beyond = max(eyes[:, 0].min() - marks[NOSE, 0], marks[NOSE, 0] - eyes[:, 0].max())
    return Detection(
        points[:2].reshape(4),
        float(score),
        float(np.degrees(np.arctan2(-down[0], down[1]))),
        bool(beyond > PROFILE * np.ptp(points[:2, 0])),
    )


def _overlap(a: np.ndarray, b: np.ndarray) -> float:
    """The share of the smaller box that both have in common."""
    common = np.prod(np.maximum(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0))
    return common / min(np.prod(a[2:] - a[:2]), np.prod(b[2:] - b[:2]))
