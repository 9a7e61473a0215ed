"""The square crop around a face in a photo."""

from __future__ import annotations

import io
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

from backend.geometry.sampling import between_centres

FACE_HEIGHTS, FACE_CENTRE = 2.5, 0.48
"""The crop is so many face heights wide, with the face's middle at this height from its top edge."""


@dataclass(frozen=True)
class Crop:
    """A square cut from a photo.

    Attributes:
        image: (S, S, 3) uint8 sRGB, border pixels repeated beyond the photo.
        valid: (S, S) bool, inside the photo.
        from_photo: (2, 3), photo pixels to crop pixels.
    """

    image: np.ndarray
    valid: np.ndarray
    from_photo: np.ndarray


def encode_photo(pixels: np.ndarray) -> bytes:
    """(H, W, 3) uint8 sRGB as the bytes of a PNG file, quickly."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def crop_around(photo: np.ndarray, landmarks: np.ndarray, size: int, face_heights: float = FACE_HEIGHTS) -> Crop:
    """The square crop around a face that every later step works in.

    Args:
        photo: (H, W, 3) uint8, or one channel of it, (H, W).
        landmarks: (n, 2 or more), the face's landmarks in photo pixels; the box about them is the face.
        size: of the crop, pixels.
        face_heights: width of the crop.
    """
    low, high = landmarks[:, :2].min(0), landmarks[:, :2].max(0)
    side = (high[1] - low[1]) * face_heights
    corner = (low + high) / 2 - side * np.array([0.5, FACE_CENTRE])
    return _crop(photo, corner, side, size)


def crop_box(photo: np.ndarray, box: np.ndarray, size: int) -> Crop:
    """A square crop twice as wide as a detector's box (x0, y0, x1, y1), for the landmarks' first search."""
    side = 2 * float((box[2:] - box[:2]).max())
    return _crop(photo, (box[:2] + box[2:]) / 2 - side / 2, side, size)


def _crop(photo: np.ndarray, corner: np.ndarray, side: float, size: int) -> Crop:
    scale = size / side
    matrix = np.array([[scale, 0, -scale * corner[0]], [0, scale, -scale * corner[1]]])
    shifted = between_centres(matrix)
    source = photo
    if scale < 0.5:
        # Averaged first, in whole steps, so that warping does not alias.
        step = int(1 / scale)
        height, width = (n // step * step for n in photo.shape[:2])
        source = cv2.resize(photo[:height, :width], (width // step, height // step), interpolation=cv2.INTER_AREA)
        shifted[:, :2] *= step
        shifted[:, 2] += scale * (step - 1) / 2
    interpolation = cv2.INTER_CUBIC if scale > 0.7 else cv2.INTER_LINEAR
    image = cv2.warpAffine(source, shifted, (size, size), flags=interpolation, borderMode=cv2.BORDER_REPLICATE)
    x = (np.arange(size) + 0.5) / scale
    inside_x = (x + corner[0] >= 0) & (x + corner[0] <= photo.shape[1])
    inside_y = (x + corner[1] >= 0) & (x + corner[1] <= photo.shape[0])
    return Crop(image, inside_y[:, None] & inside_x[None], matrix)


def to_crop(crop: Crop, points: np.ndarray) -> np.ndarray:
    """Photo pixels (n, 3) (z in the same unit) to crop pixels."""
    matrix = crop.from_photo
    return np.c_[points[:, :2] @ matrix[:, :2].T + matrix[:, 2], points[:, 2] * matrix[0, 0]]


def to_photo(crop: Crop, points: np.ndarray) -> np.ndarray:
    """Crop pixels (n, 3) to photo pixels."""
    scale = crop.from_photo[0, 0]
    return np.c_[(points[:, :2] - crop.from_photo[:, 2]) / scale, points[:, 2] / scale]
