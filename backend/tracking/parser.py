"""What a portrait shows: soft regions and a matte with the person's own colours, by a small network that ships."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from backend.onnx_session import OnnxNetwork

NETWORK = Path(__file__).parent / "parser.onnx"
"""What `python -m backend.tracking.export_parser` makes of the weights beside it."""
SIZE = 256
"""Pixels of the network's square input and output."""
CLASSES = ("background", "skin", "hair", "headwear", "clothing", "eyewear")
GUIDE_RADII, GUIDE_FLOOR = (10, 6, 4), 1e-6
"""Of the guided filter that brings alpha to the crop's size: pixels of the network's, from pass to pass, and the
variance of colours in [0, 1] that counts as none."""
BLUR_SHARES = (0.4, 0.1, 0.03, 0.012)
"""Of the crop's side: the windows of the foreground's estimates, from coarse to fine."""


@dataclass(frozen=True, eq=False)
class Regions:
    """What each pixel of an image shows.

    Attributes:
        probabilities: (H, W, 6) float32 that add up to 1, in the order of `CLASSES`.
        alpha: (H, W) float32 in [0, 1], how much of the pixel is the person; 0 beyond the photo.
        foreground: (H, W, 3) uint8 sRGB, the person's own colour, without what shines through from behind.
    """

    probabilities: np.ndarray
    alpha: np.ndarray
    foreground: np.ndarray

    @property
    def labels(self) -> np.ndarray:
        """(H, W) uint8: index of the likeliest class."""
        return self.probabilities.argmax(-1).astype(np.uint8)

    def of(self, name: str) -> np.ndarray:
        """(H, W) float32: how likely each pixel is of a class of `CLASSES`."""
        return self.probabilities[..., CLASSES.index(name)]


class PortraitParser:
    """Divides a portrait's crop into background, skin, hair, headwear, clothing and eyewear, and mattes it.

    Args:
        network: an ONNX file, such as `turboportrait train parser` writes beside its weights.

    Raises:
        TurboPortraitError: `bad_weights`.
    """

    def __init__(self, network: Path = NETWORK) -> None:
        self._network = OnnxNetwork(network)

    @classmethod
    @cache
    def shipped(cls) -> PortraitParser:
        """The parser that ships, loaded once."""
        return cls()

    def parse(self, image: np.ndarray, valid: np.ndarray | None = None) -> Regions:
        """Parse a crop as the tracker cuts it (`backend.tracking.photo.crop_around`).

        Args:
            image: (S, S, 3) uint8 sRGB.
            valid: (S, S) bool, inside the photo; beyond it there is nobody. None: everywhere.
        """
        height, width = image.shape[:2]
        valid = np.ones((height, width), bool) if valid is None else valid
        small = cv2.resize(image, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
        inside = cv2.resize(valid.astype(np.float32), (SIZE, SIZE), interpolation=cv2.INTER_AREA)
        pixels = np.moveaxis(small, -1, 0)[None].astype(np.float32) / 255
        found = self._network(image=pixels, valid=np.rint(inside)[None, None])
        probabilities = np.ascontiguousarray(np.moveaxis(found["probabilities"][0], 0, -1))
        alpha = found["alpha"][0, 0]
        probabilities = cv2.resize(probabilities, (width, height), interpolation=cv2.INTER_LINEAR)
        probabilities[~valid] = np.eye(len(CLASSES), dtype=np.float32)[0]
        alpha = _refine_alpha(image, small, alpha) * valid
        return Regions(probabilities, alpha, estimate_foreground(image, alpha))


def _refine_alpha(image: np.ndarray, small: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Alpha at the image's size: where the network is not sure, what the colours around say.

    Around each pixel alpha is a linear function of colour (guided filter, He et al. 2013), here fitted to the pixels
    that are surely the person or surely not.
    """
    for radius in GUIDE_RADII[:-1]:
        sure = (2 * alpha - 1) ** 4
        alpha = sure * alpha + (1 - sure) * _filtered(small, small, alpha, radius)
    return _filtered(image, small, alpha, GUIDE_RADII[-1])


def _filtered(image: np.ndarray, small: np.ndarray, alpha: np.ndarray, radius: int) -> np.ndarray:
    """The weighted guided filter of an alpha (C, C) by the colours (C, C, 3) beside it, seen at an image's size."""
    window = (2 * radius + 1,) * 2
    guide, weight = small / np.float32(255), ((2 * alpha - 1) ** 2 + 1e-3)[..., None]
    total = cv2.blur(weight, window)[..., None]

    def mean(values: np.ndarray) -> np.ndarray:
        return cv2.blur(values * weight, window).reshape(values.shape) / total

    mean_guide, mean_alpha = mean(guide), mean(alpha[..., None])
    products = mean((guide[..., :, None] * guide[..., None, :]).reshape(*alpha.shape, 9)).reshape(*alpha.shape, 3, 3)
    covariance = products - mean_guide[..., :, None] * mean_guide[..., None, :]
    covariance += GUIDE_FLOOR * np.eye(3, dtype=np.float32)
    with_alpha = mean(guide * alpha[..., None]) - mean_guide * mean_alpha
    slope = np.linalg.solve(covariance, with_alpha[..., None])[..., 0]
    offset = mean_alpha - (slope * mean_guide).sum(-1, keepdims=True)
    coefficients = cv2.blur(np.concatenate([slope, offset], -1), window)
    coefficients = cv2.resize(coefficients, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    fine = (coefficients[..., :3] * (image / np.float32(255))).sum(-1) + coefficients[..., 3]
    return np.clip(fine, 0, 1).astype(np.float32)


def estimate_foreground(image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """The person's own colour by blurring and fusing (Forte 2021, Approximate Fast Foreground Colour Estimation).

    Unlike there the windows are four, and sure pixels weigh more by the square: what is mixed tells little of either.

    Args:
        image: (H, W, 3) uint8. alpha: (H, W) in [0, 1].

    Returns:
        (H, W, 3) uint8.
    """
    pixels, cover = image / np.float32(255), alpha[..., None].astype(np.float32)
    foreground = background = pixels
    for share in BLUR_SHARES:
        window = (2 * max(1, round(share * len(image) / 2)) + 1,) * 2
        foreground = _weighted_blur(foreground, cover**2, window)
        background = _weighted_blur(background, (1 - cover) ** 2, window)
        foreground = foreground + cover * (pixels - cover * foreground - (1 - cover) * background)
    return np.rint(255 * np.clip(foreground, 0, 1)).astype(np.uint8)


def _weighted_blur(colors: np.ndarray, weight: np.ndarray, window: tuple[int, int]) -> np.ndarray:
    weight = weight + 1e-6
    return cv2.blur(colors * weight, window) / cv2.blur(weight, window)[..., None]
