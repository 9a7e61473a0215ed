"""The whole of tracking: one photo in, everything that an avatar maker needs out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backend.protocol.camera import Camera
from backend.protocol.head_parameters import HeadParameters
from flame import HeadModel


@dataclass(frozen=True)
class TrackedPortrait:
    """What tracking found. All images are the square crop around the head, size x size, 2.5 face heights wide.

    Attributes:
        image: (S, S, 3) uint8 sRGB, the crop (border pixels repeated where the crop leaves the photo).
        matte: (S, S) float32 in [0, 1], the person.
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
    """

    image: np.ndarray
    matte: np.ndarray
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


def track(photo: bytes, model: HeadModel, size: int = 512) -> TrackedPortrait:
    """Track one photo (the bytes of an image file)."""
    raise NotImplementedError
