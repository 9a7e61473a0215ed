"""The 468 landmarks of a face and the five of each iris, by MediaPipe's models.

Kartynnik et al. 2019 (the mesh), Ablavatski et al. 2020 (the irises); around them as in MediaPipe's graphs
`face_landmark_front_cpu` and `iris_landmark_left_and_right_cpu`.
"""

from __future__ import annotations

import numpy as np

from backend.tracking.face_detection import LEFT_EYE, NEAR, RIGHT_EYE
from backend.tracking.face_models import face_model
from backend.tracking.rois import Roi

MESH_SIZE, IRIS_SIZE = 192, 64
"""Pixels of the models' square inputs."""
LEAST_DETECTION, LEAST_PRESENCE = 0.3, 0.5
FACE_MARGIN, EYE_MARGIN = 1.5, 2.3
"""A model's square, times the detector's box, and times the eye's width."""
RIGHT_CORNERS, LEFT_CORNERS = (33, 133), (362, 263)
"""Landmarks: the corners of the person's right and left eye, from the left of the picture."""
_MIRRORED = (0, 3, 2, 1, 4)
_CORNERS, _LOWER_LID, _UPPER_LID = (0, 8), slice(1, 8), slice(9, 16)
"""Points of the iris model's contour of the eye."""


def find_mesh(photo: np.ndarray) -> np.ndarray | None:
    """The surest face's mesh (468, 3) float, pixels of a photo (H, W, 3) uint8; None where there is none."""
    _, faces = NEAR(photo, LEAST_DETECTION)
    if not len(faces):
        return None
    box = faces[0, :2].reshape(4)
    return mesh_in(photo, Roi.along(box, faces[0, 2 + RIGHT_EYE], faces[0, 2 + LEFT_EYE], FACE_MARGIN))


def roi_of(mesh: np.ndarray) -> Roi:
    """Where a face whose mesh (468 or more, 2 or more) was here is looked for in the next picture of a video."""
    box = np.r_[mesh[:468, :2].min(0), mesh[:468, :2].max(0)]
    return Roi.along(box, mesh[RIGHT_CORNERS[0], :2], mesh[LEFT_CORNERS[1], :2], FACE_MARGIN)


def mesh_in(photo: np.ndarray, roi: Roi) -> np.ndarray | None:
    """The mesh (468, 3) of a face in a square of a photo; None where there is none."""
    found = face_model("face_landmark")(image=_pixels(roi.cut(photo, MESH_SIZE)))
    if found["presence"].item() < -np.log(1 / LEAST_PRESENCE - 1):
        return None
    return _placed(found["landmarks"], roi, MESH_SIZE)


def find_irises(photo: np.ndarray, mesh: np.ndarray) -> np.ndarray:
    """The irises (10, 3), the person's right one first: the middle, then right, top, left and bottom of its edge.

    Args:
        photo: (H, W, 3) uint8. mesh: (468, 3) from `find_mesh`.
    """
    return find_eyes(photo, mesh)[0]


def find_eyes(photo: np.ndarray, mesh: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The irises as of `find_irises`, and how far open the right and the left eye are: (2,) heights over widths."""
    irises, openings = [], []
    for corners, mirrored in ((RIGHT_CORNERS, False), (LEFT_CORNERS, True)):
        ends = mesh[list(corners), :2]
        box = np.r_[ends.min(0), ends.max(0)]
        roi = Roi.along(box, ends[0], ends[1], EYE_MARGIN)
        pixels = roi.cut(photo, IRIS_SIZE)
        # The model knows one eye; the other is that one's mirror image.
        found = face_model("iris_landmark")(image=_pixels(pixels[:, ::-1] if mirrored else pixels))
        points = found["iris"].reshape(-1, 3).astype(float)
        if mirrored:
            points[:, 0] = IRIS_SIZE - points[:, 0]
            points = points[list(_MIRRORED)]
        placed = _placed(points, roi, IRIS_SIZE)
        # The model's depth is relative to nothing that the mesh knows.
        placed[:, 2] = mesh[list(corners), 2].mean()
        irises.append(placed)
        contour = found["contours"].reshape(-1, 3)[:, :2].astype(float)
        height = contour[_LOWER_LID, 1].mean() - contour[_UPPER_LID, 1].mean()
        openings.append(height / np.linalg.norm(contour[_CORNERS[0]] - contour[_CORNERS[1]]))
    return np.concatenate(irises), np.array(openings)


def _pixels(cut: np.ndarray) -> np.ndarray:
    """(1, S, S, 3) float32 in [0, 1]."""
    return np.ascontiguousarray(cut, np.float32)[None] / 255


def _placed(values: np.ndarray, roi: Roi, size: int) -> np.ndarray:
    """A model's points, in pixels of its input, as points (n, 3) of the photo; z grows as x does."""
    points = values.reshape(-1, 3).astype(float)
    matrix = roi.to_photo(size)
    return np.c_[points[:, :2] @ matrix[:, :2].T + matrix[:, 2], points[:, 2] * roi.side / size]
