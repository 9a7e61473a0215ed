"""What was understood of a photo, to look at and for other tools: crop, landmarks, regions, matte."""

from __future__ import annotations

import cv2
import numpy as np

from backend.geometry.sampling import between_centres
from backend.tracking.parser import CLASSES
from backend.tracking.portrait import TrackedPortrait

COLORS = np.array([[0, 0, 0], [240, 170, 140], [200, 30, 40], [190, 60, 200], [40, 90, 220], [250, 220, 40]], np.uint8)
"""Of background, skin, hair, headwear, clothing, eyewear."""
OTHER = np.array([110, 110, 110], np.uint8)
"""Of what is not known."""
BEHIND, BEYOND = (0, 190, 0), (60, 60, 60)
"""What the matte leaves out, and what the photo does not show."""


def class_colors(labels: np.ndarray) -> np.ndarray:
    """Class indices (...) as colours (..., 3) uint8."""
    table = np.tile(OTHER, (256, 1))
    table[: len(COLORS)] = COLORS
    return table[labels.astype(np.uint8)]


def regions_in_photo(tracked: TrackedPortrait, height: int, width: int) -> np.ndarray:
    """The likeliest class of each pixel of the photo, (height, width) uint8; background outside of the crop."""
    matrix = between_centres(tracked.from_photo)
    flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(tracked.regions.labels, matrix, (width, height), flags=flags)


def inspection_picture(photo: np.ndarray, tracked: TrackedPortrait) -> np.ndarray:
    """The photo with the crop's frame, the crop with its landmarks, its regions, and the person as cut out.

    Args:
        photo: (H, W, 3) uint8, as it was tracked.

    Returns:
        (S, 4 S, 3) uint8, S the crop's side.
    """
    crop, regions, size = tracked.image, tracked.regions, len(tracked.image)
    beyond = ~tracked.valid
    landmarks = np.where(beyond[..., None], np.array(BEYOND, np.uint8), crop)
    for x, y in tracked.landmarks[:, :2]:
        cv2.circle(landmarks, (round(float(x)), round(float(y))), 1, (0, 255, 120), -1, cv2.LINE_AA)
    known = (regions.labels != CLASSES.index("background"))[..., None]
    mixed = np.rint(0.45 * crop + 0.55 * class_colors(regions.labels)).astype(np.uint8)
    coloured = np.where(known, mixed, crop // 2)
    alpha = regions.alpha[..., None]
    cut_out = np.rint(regions.foreground * alpha + np.array(BEHIND) * (1 - alpha)).astype(np.uint8)
    for picture in (coloured, cut_out):
        picture[beyond] = BEYOND
    return np.hstack([_framed(photo, tracked.from_photo, size), landmarks, coloured, cut_out])


def _framed(photo: np.ndarray, from_photo: np.ndarray, size: int) -> np.ndarray:
    """The photo, size x size with bars, and the crop's square in it."""
    height, width = photo.shape[:2]
    scale = size / max(height, width)
    small = cv2.resize(photo, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
    framed = np.full((size, size, 3), BEYOND, np.uint8)
    top, left = (size - small.shape[0]) // 2, (size - small.shape[1]) // 2
    framed[top : top + small.shape[0], left : left + small.shape[1]] = small
    corner = -from_photo[:, 2] / from_photo[0, 0]
    side = size / from_photo[0, 0]
    first = np.rint(corner * scale + [left, top]).astype(int)
    last = np.rint((corner + side) * scale + [left, top]).astype(int)
    cv2.rectangle(framed, tuple(map(int, first)), tuple(map(int, last)), (255, 200, 0), 2)
    return framed
