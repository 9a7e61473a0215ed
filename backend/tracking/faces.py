"""Which face a photo shows: whether it is one at all, which way up it is, and which of several is meant."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

import numpy as np

from backend.tracking.errors import TrackingError
from backend.tracking.fit import HeadFit
from backend.tracking.landmarks import Detection, detect_faces, find_landmarks
from backend.tracking.photo import Crop, crop_box, to_crop, to_photo

SEARCH_SIZE = 512
MIN_FACE_HEIGHT = 64
"""Pixels of the photo from brow to chin; below it the crop would show blur."""
MAX_BEYOND_BORDER = 0.02
"""Face heights that the face may reach beyond the photo's border; landmarks are not surer than that."""
SURE_SCORE = 0.88
"""The detectors' score of a face that is surely upright. One on its side or upside down is often taken for an upright
face, but with a lower score than after it was turned."""
TURNED_GAIN = 0.05
"""By how much the score must grow for a photo to be turned."""
MAX_TILT = 50.0
"""Degrees; a face tilted further is upright in a photo that is turned by a quarter."""
BELIEVED_SCORE = 0.7
"""The detectors' score from which on a face is believed without landmarks, or the photo turned for it."""
PROFILE_SCORE = 0.6
"""Of a face that is seen from the side, which few things are taken for."""
MAX_MOVED = 12.0
"""Pixels at 512 by which landmarks may differ that are found twice: less than 4 on faces, 9 on faces half of which is
covered, 30 on what is none."""
WARN_TURN, WARN_RMS = 40.0, 5.0
"""Degrees, and pixels at 512 that the fitted head misses the landmarks by."""
_TURNS = {1: "on its right side", 2: "upside down", 3: "on its left side"}
"""How the photo lies that needs so many quarter turns to the left."""


@dataclass(frozen=True)
class Face:
    """A face in a photo.

    Attributes:
        photo: (H, W, 3) uint8, turned so that the face is upright.
        turns: quarter turns to the left (`np.rot90`) that this took.
        landmarks: (478, 3), in pixels of the turned photo.
        score: how sure the detector is, in [0.5, 1].
        warnings: codes and sentences.
    """

    photo: np.ndarray
    turns: int
    landmarks: np.ndarray
    score: float
    warnings: tuple[tuple[str, str], ...]


def find_face(photo: np.ndarray, number: int = 0) -> Face:
    """The face that is meant, of a photo (H, W, 3) uint8.

    Args:
        number: of several faces, counted from 1 at the left; 0 for the largest.

    Raises:
        TrackingError: no_face, no_such_face, face_cut, face_too_small.
    """
    turns, faces = _upright_faces(photo)
    photo = np.ascontiguousarray(np.rot90(photo, turns))
    if not faces:
        if (landmarks := find_landmarks(photo)) is not None:
            # No detector sees half a face, but that it is cut can be said.
            _check_place(landmarks[:468, :2], photo.shape[1], photo.shape[0])
        raise _refusal(0, turns)
    if len(faces) > 1:
        faces = [face for face in faces if _landmarks_in(photo, face) is not None] or faces[:1]
    if number > len(faces):
        raise TrackingError(
            "no_such_face",
            f"The photo shows {len(faces)} faces, no number {number}.",
            "Choose a number from 1, counted from the left.",
        )
    ordered = sorted(faces, key=lambda face: face.centre[0])
    face = ordered[number - 1] if number else max(faces, key=lambda face: face.width)
    landmarks = _landmarks_in(photo, face)
    if landmarks is None:
        # A detector sees a profile from which no landmarks can be read.
        raise _refusal(face.score, turns, face.profile)
    _check_place(landmarks[:468, :2], photo.shape[1], photo.shape[0])
    warnings = []
    if turns:
        warnings.append(("turned", f"The photo lies {_TURNS[turns]}; it was turned upright."))
    if len(faces) > 1 and not number:
        used = 1 + ordered.index(face)
        sentence = f"The photo shows {len(faces)} faces; the largest is used, number {used} from the left."
        warnings.append(("several_faces", sentence))
    return Face(photo, turns, landmarks, face.score, tuple(warnings))


def check_face(
    face: Face, crop: Crop, landmarks: np.ndarray, fit: HeadFit, doubts: Container[str]
) -> tuple[tuple[str, str], ...]:
    """Whether what was found is a face, by all that is known of it in the end.

    Args:
        face: what was found.
        crop: around it.
        landmarks: (478, 3), found once more in the crop.
        fit: of the head to those.
        doubts: codes of what `find_person` says of the person in the crop.

    Returns:
        Warnings, codes and sentences.

    Raises:
        TrackingError: no_face, face_hidden.
    """
    pixel = len(crop.image) / 512
    apart = to_crop(crop, face.landmarks)[:468, :2] - landmarks[:468, :2]
    if np.linalg.norm(apart, axis=1).mean() / pixel > MAX_MOVED:
        raise _refusal(face.score, face.turns)
    if "weak_matte" in doubts and "face_covered" not in doubts and face.score < SURE_SCORE:
        raise _refusal(0, face.turns)
    warnings = []
    forward = fit.camera.extrinsics[:3, :3] @ [0.0, 0.0, 1.0]
    turn = np.degrees(np.arccos(np.clip(-forward[2], -1, 1)))
    if turn > WARN_TURN:
        sentence = f"The face is turned away by {turn:.0f} degrees: what the photo does not show of it is guessed."
        warnings.append(("face_turned", sentence))
    if fit.rms[0] / pixel > WARN_RMS:
        warnings.append(("bad_fit", "The head fits this face badly: it may be covered, blurred or far turned."))
    return tuple(warnings)


def _landmarks_in(photo: np.ndarray, face: Detection) -> np.ndarray | None:
    """The landmarks (478, 3) of a detected face, in pixels of the photo."""
    crop = crop_box(photo, face.box, SEARCH_SIZE)
    found = find_landmarks(crop.image)
    return None if found is None else to_photo(crop, found)


def _refusal(score: float, turns: int, profile: bool = False) -> TrackingError:
    """What to say of a place that may be a face; after a turn only a face of which all is seen is believed."""
    if score < (PROFILE_SCORE if profile else BELIEVED_SCORE) or turns:
        return TrackingError(
            "no_face",
            "No face was found in this photo.",
            "Use a photo that shows one face from the front, well lit and not covered.",
        )
    return TrackingError(
        "face_hidden",
        "A face was found, but it is turned too far away, covered or blurred.",
        "Use a photo that shows the face from the front, with both eyes, well lit and not covered.",
    )


def _upright_faces(photo: np.ndarray) -> tuple[int, list[Detection]]:
    """The quarter turns after which the faces are upright, and the faces of the photo turned so."""
    upright = best = _faces(photo)
    turns = 0
    if _score(best) < SURE_SCORE:
        for more in (1, 2, 3):
            faces = _faces(np.ascontiguousarray(np.rot90(photo, more)))
            if _score(faces) > max(_score(best) + TURNED_GAIN * (turns == 0), BELIEVED_SCORE):
                turns, best = more, faces
    if turns and _any_landmarks(photo, upright) and not _any_landmarks(np.rot90(photo, turns), best):
        # A face half of which is covered has a lower score than some chance likeness of a face.
        return 0, upright
    return turns, best


def _any_landmarks(photo: np.ndarray, faces: list[Detection]) -> bool:
    photo = np.ascontiguousarray(photo)
    return any(_landmarks_in(photo, face) is not None for face in faces)


def _score(faces: list[Detection]) -> float:
    return max((face.score for face in faces if abs(face.tilt) < MAX_TILT), default=0.0)


def _faces(photo: np.ndarray) -> list[Detection]:
    """The faces of a photo; one that fills it is seen only with some room around it."""
    if faces := detect_faces(photo):
        return faces
    margin = max(photo.shape) // 2
    room = np.pad(photo, ((margin, margin), (margin, margin), (0, 0)), mode="edge")
    return [face.moved(-margin) for face in detect_faces(room)]


def _check_place(points: np.ndarray, width: int, height: int) -> None:
    low, high = points.min(0), points.max(0)
    face_height = high[1] - low[1]
    beyond = max(*(-low), *(high - [width, height])) / face_height
    if beyond > MAX_BEYOND_BORDER:
        raise TrackingError(
            "face_cut",
            "The face is cut by the photo's border.",
            "Use a photo that shows the whole head with some room around it.",
        )
    if face_height < MIN_FACE_HEIGHT:
        raise TrackingError(
            "face_too_small",
            f"The face is {face_height:.0f} pixels high; at least {MIN_FACE_HEIGHT} are needed.",
            "Use a photo taken nearer, or a larger version of this one.",
        )
