"""Putting a refined crop back into a full frame: what refining changed is added, the frame's own detail stays."""

from __future__ import annotations

import cv2
import numpy as np

from backend.geometry.smoothstep import smoothstep

FADE = 0.06
"""The share of the crop's side over which the change fades out towards the crop's border."""


def composite(
    frame: np.ndarray,
    square: tuple[float, float, float],
    raw_crop: np.ndarray,
    refined_crop: np.ndarray,
    share: float = 1.0,
) -> np.ndarray:
    """Add (refined - raw) of a crop to a frame of any size; alpha stays the frame's.

    Args:
        frame: (H, W, 4) uint8 sRGB, straight alpha, the raw frame.
        square: x0, y0 and side of the crop in the frame's pixels; it may leave the frame, or be larger than it.
        raw_crop: (S, S, 4) uint8, the crop as rendered.
        refined_crop: (S, S, 3) uint8, the crop as refined.
        share: of the change that is added.

    Returns:
        (H, W, 4) uint8.
    """
    x0, y0, side = square
    height, width = frame.shape[:2]
    left, right = _span(x0, side, width)
    top, bottom = _span(y0, side, height)
    if not overlaps(square, width, height):
        return frame
    size = (right - left, bottom - top)
    # The change is known only where the crop shows the head: it travels with that weight and is divided by it, so
    # that an outline's pixels get their neighbours' change whole, not thinned by the nothing beside them.
    known = (raw_crop[..., 3:] > 0).astype(np.float32)
    change = share * (refined_crop.astype(np.float32) - raw_crop[..., :3]) * known
    carried = _resample(np.concatenate([change, known], axis=2), (x0 - left, y0 - top, side), size)
    change = carried[..., :3] / np.maximum(carried[..., 3:], 1e-3)
    fade_x, fade_y = _fade(left, right, x0, side), _fade(top, bottom, y0, side)
    change *= fade_y[:, None, None] * fade_x[None, :, None]
    result = frame.copy()
    window = result[top:bottom, left:right]
    seen = window[..., 3:] > 0
    window[..., :3] = np.where(seen, np.clip(np.rint(window[..., :3] + change), 0, 255), window[..., :3])
    return result


def overlaps(square: tuple[float, float, float], width: int, height: int) -> bool:
    """Whether a square (x0, y0, side) has pixels in common with a frame."""
    (left, right), (top, bottom) = _span(square[0], square[2], width), _span(square[1], square[2], height)
    return left < right and top < bottom


def _span(start: float, side: float, limit: int) -> tuple[int, int]:
    return int(np.clip(np.floor(start), 0, limit)), int(np.clip(np.ceil(start + side), 0, limit))


def _resample(image: np.ndarray, square: tuple[float, float, float], size: tuple[int, int]) -> np.ndarray:
    """The image (S, S, C), which fills the square, as seen by a window of `size` (width, height) pixels."""
    x0, y0, side = square
    pixels = max(1, round(side))
    if pixels < len(image):  # Smaller: average first, or the window would pick single pixels.
        image = cv2.resize(image, (pixels, pixels), interpolation=cv2.INTER_AREA)
    scale = len(image) / side
    to_image = np.array([[scale, 0, (0.5 - x0) * scale - 0.5], [0, scale, (0.5 - y0) * scale - 0.5]])
    return cv2.warpAffine(
        image, to_image, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE
    )


def _fade(start: int, stop: int, origin: float, side: float) -> np.ndarray:
    """Weights of the pixels start..stop: 0 at the crop's border, 1 inside, smooth between."""
    position = (np.arange(start, stop, dtype=np.float32) + 0.5 - origin) / side
    return smoothstep(np.minimum(position, 1 - position), 0, FADE)
