"""Marks painted on a head: what no training person wears, such as an emblem, and is to stay as it is.

A refiner that has seen no badge takes one for a fault and paints it over. So a sample's pictures gain spots of any
colour, fixed to places on the head: the avatar's views, the warped portrait, the portrait and the true views alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

LARGEST, SMALLEST = 0.03, 0.004
"""Half a mark's width, metres."""
MOST = 5


@dataclass(frozen=True)
class Marks:
    """Marks on one head.

    Attributes:
        centers, radii: (n, 3) metres, see `RenderedView.place`; colors: (n, 3) sRGB in 0..255; strengths: (n,).
    """

    centers: np.ndarray
    radii: np.ndarray
    colors: np.ndarray
    strengths: np.ndarray

    @classmethod
    def draw(cls, place: np.ndarray, sure: np.ndarray, rng: np.random.Generator) -> Marks:
        """Between one and `MOST`, at places (H, W, 3) that are known and that the photo is sure of, (H, W) bool."""
        known = place[sure & place.any(-1)].astype(np.float32)
        count = int(rng.integers(1, MOST + 1)) if len(known) else 0
        size = SMALLEST * (LARGEST / SMALLEST) ** rng.random((count, 1))
        return cls(
            known[rng.integers(len(known), size=count)] if count else np.zeros((0, 3), np.float32),
            size * np.exp(rng.uniform(-0.7, 0.3, (count, 3))),
            255 * np.where(rng.random((count, 1)) < 0.3, rng.integers(0, 2, (count, 1)), rng.random((count, 3))),
            rng.uniform(0.5, 1, count),
        )

    def paint(self, picture: np.ndarray, place: np.ndarray) -> np.ndarray:
        """A picture (H, W, 3 or 4) uint8, alpha as it was, with the marks on the places (H, W, 3) that it shows."""
        color = picture[..., :3].astype(np.float32)
        known = place.any(-1)
        for center, radius, paint, strength in zip(self.centers, self.radii, self.colors, self.strengths, strict=True):
            inside = known & (np.square((place - center) / radius).sum(-1) < 1)
            cover = strength * cv2.GaussianBlur(inside.astype(np.float32), (0, 0), 0.7)[..., None]
            color += cover * (paint - color)
        return np.concatenate([np.clip(np.rint(color), 0, 255).astype(np.uint8), picture[..., 3:]], -1)
