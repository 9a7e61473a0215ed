"""The whole of tracking: one photo in, everything that an avatar maker needs out."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace

import numpy as np

from backend.photos import decode_photo
from backend.protocol.camera import Camera
from backend.protocol.head_parameters import HeadParameters
from backend.tracking.embedding import with_landmarks
from backend.tracking.faces import check_face, find_face
from backend.tracking.fit import fit_head
from backend.tracking.landmarks import find_landmarks
from backend.tracking.parser import Regions
from backend.tracking.person import find_person
from backend.tracking.photo import crop_around, to_crop
from flame import HeadModel


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
        image_digest: sha256 of the photo's bytes, and of the face's number where one was chosen, hex.
        from_photo: (2, 3) float64, pixels of the upright photo to crop pixels (a scale and a shift); by default the
            photo is the crop.
        turns: quarter turns to the left after which the photo was upright.
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
    turns: int = 0

    @property
    def matte(self) -> np.ndarray:
        """(S, S) float32 in [0, 1], the person; nobody beyond the photo."""
        return self.regions.alpha


def track(photo: bytes, model: HeadModel, size: int = 512, number: int = 0) -> TrackedPortrait:
    """Track one photo.

    Args:
        photo: the bytes of an image file.
        model: any head model; one without a landmark embedding gets one first (seconds, kept for the next time).
        size: of the crop, pixels.
        number: of several faces, counted from 1 at the left; 0 for the largest.

    Raises:
        TurboPortraitError: as `decode_photo`.
        TrackingError: as `find_face`; no_face: what was found turned out to be none.
    """
    model = with_landmarks(model)
    decoded = decode_photo(photo)
    face = find_face(decoded.rgb, number)
    crop = crop_around(face.photo, face.landmarks[:468], size)
    # Found once more in the crop: this is the framing in which renders are compared with the portrait.
    landmarks = find_landmarks(crop.image)
    if landmarks is None:
        landmarks = to_crop(crop, face.landmarks)
    fit = fit_head(landmarks, model, size)
    regions, doubts = find_person(crop, landmarks)
    warnings = face.warnings + check_face(face, crop, landmarks, fit, dict(doubts))
    if decoded.alpha is not None:
        # What the file itself leaves out is not the person.
        alpha = np.ascontiguousarray(np.rot90(decoded.alpha, face.turns))
        shown = crop_around(alpha, face.landmarks[:468], size).image.astype(np.float32) / 255
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
        image_digest=hashlib.sha256(photo + (f":face {number}".encode() if number else b"")).hexdigest(),
        from_photo=crop.from_photo,
        turns=face.turns,
    )
