"""Pictures of the parser's corpus in the tracker's own crop."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from backend.people.parsing.pictures import FACE_HEIGHTS, SIZE, UNKNOWN, LabelledPicture
from backend.tracking.parser import CLASSES
from backend.tracking.parser import SIZE as CROP_SIZE
from backend.tracking.photo import FACE_HEIGHTS as CROP_HEIGHTS


@dataclass(frozen=True, eq=False)
class ParsingSample:
    """What the network sees and shall say.

    Attributes:
        image: (C, C, 3) uint8. valid: (C, C) bool. labels: (C, C) uint8, `UNKNOWN` beyond the photo.
        alpha: (C, C) float32. foreground: (C, C, 3) uint8.
    """

    image: np.ndarray
    valid: np.ndarray
    labels: np.ndarray
    alpha: np.ndarray
    foreground: np.ndarray


def plain_sample(
    picture: LabelledPicture, background: np.ndarray | None = None, size: int = CROP_SIZE
) -> ParsingSample:
    """A picture in the tracker's own crop, unchanged, or before another background (C, C, 3) uint8."""
    matrix = placed(0.0, 1.0, np.zeros(2), size)
    image, foreground, alpha, labels, valid = warped(picture, matrix, size)
    if background is not None:
        image = over(foreground, alpha, background)
    return labelled(image, valid, labels, alpha, foreground)


def placed(turn: float, scale: float, shift: np.ndarray, size: int) -> np.ndarray:
    """(2, 3) from a picture's pixels to the crop's."""
    factor = size / SIZE * FACE_HEIGHTS / CROP_HEIGHTS / scale
    matrix: np.ndarray = cv2.getRotationMatrix2D((SIZE / 2, SIZE / 2), turn, factor)
    matrix[:, 2] += (size - SIZE) / 2 + shift * size
    return matrix


def warped(picture: LabelledPicture, matrix: np.ndarray, size: int) -> tuple[np.ndarray, ...]:
    """Image, foreground, alpha, labels and valid pixels of a picture, through a matrix (2, 3)."""

    def warp(image: np.ndarray, flags: int = cv2.INTER_LINEAR, border: int = cv2.BORDER_CONSTANT, value: int = 0):
        return cv2.warpAffine(image, matrix, (size, size), flags=flags, borderMode=border, borderValue=(value,))

    image, foreground = (warp(x, border=cv2.BORDER_REPLICATE) for x in (picture.image, picture.foreground))
    alpha = warp(picture.alpha, border=cv2.BORDER_REPLICATE).astype(np.float32) / 255
    labels = warp(picture.labels, cv2.INTER_NEAREST, value=UNKNOWN)
    valid = warp(picture.valid.astype(np.uint8), cv2.INTER_NEAREST) > 0
    return image, foreground, alpha, labels, valid


def labelled(
    image: np.ndarray, valid: np.ndarray, labels: np.ndarray, alpha: np.ndarray, foreground: np.ndarray
) -> ParsingSample:
    """A sample whose clear pixels are background, and those beyond the photo unknown."""
    labels = np.where(alpha < 0.5, np.uint8(CLASSES.index("background")), labels)
    return ParsingSample(image, valid, np.where(valid, labels, np.uint8(UNKNOWN)), alpha, foreground)


def over(foreground: np.ndarray, alpha: np.ndarray, background: np.ndarray) -> np.ndarray:
    """(C, C, 3) uint8, a foreground before a background."""
    mixed = foreground * alpha[..., None] + background * (1 - alpha[..., None])
    return np.clip(np.rint(mixed), 0, 255).astype(np.uint8)
