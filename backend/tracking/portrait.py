"""The whole of tracking: one photo in, everything that an avatar maker needs out."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace

import numpy as np

from backend.photos import decode_photo
from backend.protocol.camera import Camera
from backend.protocol.head_parameters import HeadParameters
from backend.tracking.embedding import with_landmarks
from backend.tracking.errors import TrackingError
from backend.tracking.fit import fit_head
from backend.tracking.landmarks import find_faces, find_landmarks
from backend.tracking.parser import Regions
from backend.tracking.person import find_person
from backend.tracking.photo import crop_around, crop_box, to_crop, to_photo
from flame import HeadModel

SEARCH_SIZE = 512
MIN_FACE_HEIGHT = 64
"""Pixels of the photo from brow to chin; below it the crop would show blur."""
MAX_BEYOND_BORDER = 0.03
"""Face heights that the face may reach beyond the photo's border; landmarks are not surer than that."""


@dataclass(frozen=True)
class TrackedPortrait:
    """What tracking found. All images are the square crop around the head, size x size, 2.5 face heights wide.

    Attributes:
        image: (S, S, 3) uint8 sRGB, the crop (border pixels repeated where the crop leaves the photo).
        regions: what each pixel shows; the person's alpha and own colour.
        valid: (S, S) bool, where the crop lies inside the photo.
        landmarks: (478, 3) float32, mediapipe's landmarks in crop pixels (z in the same unit, relative).
        camera: the portrait's camera over head space, for the crop (S x S). It carries the head's whole rigid pose.
        betas: (B,) float32, the fitted identity.
        parameters: the pose (global and neck at rest, see `camera`) and expression of the portrait.
        vertices: (V, 3) float32, the head model in head space that meets the landmarks: identity and expression as
            fitted, plus the residual warp.
        neutral_vertices: (V, 3) float32, the same with the expression taken out.
        residual: (478,) float32, distance of the fitted landmarks to the found ones, pixels of the crop.
        warnings: codes and sentences, such as several faces in the photo.
        image_digest: sha256 of the photo's bytes, hex.
        from_photo: (2, 3) float64, photo pixels to crop pixels (a scale and a shift); by default the photo is the crop.
    """

    image: np.ndarray
    regions: Regions
    valid: np.ndarray
    landmarks: np.ndarray
    camera: Camera
    betas: np.ndarray
    parameters: HeadParameters
    vertices: np.ndarray
    neutral_vertices: np.ndarray
    residual: np.ndarray
    warnings: tuple[tuple[str, str], ...]
    image_digest: str
    from_photo: np.ndarray = field(default_factory=lambda: np.eye(2, 3))

    @property
    def matte(self) -> np.ndarray:
        """(S, S) float32 in [0, 1], the person; nobody beyond the photo."""
        return self.regions.alpha


def track(photo: bytes, model: HeadModel, size: int = 512) -> TrackedPortrait:
    """Track one photo.

    Args:
        photo: the bytes of an image file.
        model: any head model; one without a landmark embedding gets one first (seconds, kept for the next time).
        size: of the crop, pixels.

    Raises:
        TurboPortraitError: as `decode_photo`.
        TrackingError: no_face, face_cut, face_too_small.
    """
    model = with_landmarks(model)
    decoded = decode_photo(photo)
    pixels = decoded.rgb
    face, warnings = find_face(pixels)
    crop = crop_around(pixels, face[:468], size)
    # Found once more in the crop: this is the framing in which renders are compared with the portrait.
    landmarks = find_landmarks(crop.image)
    if landmarks is None:
        landmarks = to_crop(crop, face)
    fit = fit_head(landmarks, model, size)
    regions, doubts = find_person(crop, landmarks)
    if decoded.alpha is not None:
        # What the file itself leaves out is not the person.
        shown = crop_around(decoded.alpha, face[:468], size).image.astype(np.float32) / 255
        regions = replace(regions, alpha=np.minimum(regions.alpha, shown))
    return TrackedPortrait(
        image=crop.image,
        regions=regions,
        valid=crop.valid,
        landmarks=landmarks.astype(np.float32),
        camera=fit.camera,
        betas=fit.betas,
        parameters=HeadParameters.from_arrays(expression=fit.expression),
        vertices=fit.vertices,
        neutral_vertices=fit.neutral_vertices,
        residual=fit.residual,
        warnings=warnings + doubts,
        image_digest=hashlib.sha256(photo).hexdigest(),
        from_photo=crop.from_photo,
    )


def find_face(pixels: np.ndarray) -> tuple[np.ndarray, tuple[tuple[str, str], ...]]:
    """The landmarks (478, 3) of the largest face, in photo pixels, and warnings."""
    boxes = find_faces(pixels)
    landmarks = None
    for box in boxes:
        crop = crop_box(pixels, box, SEARCH_SIZE)
        found = find_landmarks(crop.image)
        if found is not None:
            landmarks = to_photo(crop, found)
            break
    if landmarks is None:
        # A face that fills the photo is seen by the face mesh alone.
        landmarks = find_landmarks(pixels)
    if landmarks is None:
        raise TrackingError(
            "no_face",
            "No face was found in this photo.",
            "Use a photo that shows one face from the front, well lit and not covered.",
        )
    _check_face(landmarks[:468, :2], pixels.shape[1], pixels.shape[0])
    if len(boxes) > 1:
        sentence = f"The photo shows {len(boxes)} faces; the largest is used."
        return landmarks, (("several_faces", sentence),)
    return landmarks, ()


def _check_face(points: np.ndarray, width: int, height: int) -> None:
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
