"""Rims on a head's outline in the portrait: what an avatar stretches over the sides that the photo did not see.

A light from behind, a lens' fringe or a matte's error colours a portrait's outline. There an avatar takes the colour of
all that lies behind it: dark hair with a bright rim turns white to the side. Few synthetic people have such a rim. So a
sample's portrait gains one, and its raw views and warped portraits what becomes of it; the true views do not, but where
the view is turned so little that it still stands at the outline.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from backend.training.paint_layers import PaintLayer, softened

WIDEST = (0.05, 0.3)
"""Photo confidence from which on there is none."""
BRIGHT, DARK = 0.7, 0.15
"""The shares of rims that are bright and that are dark; others have any colour."""
HEIGHTS = np.linspace(-0.2, 0.2, 81)
"""Metres over the eyes, where a rim's strength is drawn."""
FILLED = (0.4, 1.0)
"""How much of it an avatar fills a hidden side with, which also knows the colour of what is deeper in; a warped
portrait shows all of it."""
GONE = np.radians([12.0, 32.0])
"""How far a view is turned where a true outline begins to lose the rim, and where it has none."""


@dataclass(frozen=True)
class Halo:
    """A rim on one head's outline.

    Attributes:
        confidence: of the photo, from which on there is none.
        strengths: (2, heights) in [0, 1], by side (the place's first coordinate below and above zero) and height.
        colors: (2, 3) sRGB in 0..255, of the sides.
    """

    confidence: float
    strengths: np.ndarray
    colors: np.ndarray

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Halo:
        """A rim on one side or both, brighter than a person mostly, of changing strength."""
        on = np.array([[1, 1], [1, 0], [0, 1]])[rng.integers(3)]
        noise = gaussian_filter1d(rng.normal(0, 1, (2, len(HEIGHTS))), rng.uniform(2, 12), axis=1)
        noise = (noise - noise.mean(1, keepdims=True)) / noise.std(1, keepdims=True)
        strengths = on[:, None] * np.clip(rng.uniform(0.2, 1) + rng.uniform(0, 0.5) * noise, 0, 1)
        kind = rng.random()
        color = rng.uniform(0, 255, 3)
        if kind < BRIGHT + DARK:
            level = rng.uniform(190, 255) if kind < BRIGHT else rng.uniform(0, 40)
            color = np.clip(level + rng.normal(0, 12, 3), 0, 255)
        return cls(rng.uniform(*WIDEST), strengths, np.clip(color + rng.normal(0, 8, (2, 3)), 0, 255))

    def layer(self, place: np.ndarray, confidence: np.ndarray, head: np.ndarray) -> PaintLayer:
        """The rim over a picture that shows the places (H, W, 3) and a head (H, W) bool.

        Args:
            confidence: (H, W) in [0, 1], of the photo there.
        """
        place = place.astype(np.float32)
        low, high = (np.interp(place[..., 1], HEIGHTS, strengths) for strengths in self.strengths)
        # Soft where the sides meet.
        side = np.clip(0.5 + place[..., 0] / 0.02, 0, 1)
        steep = np.clip(1.5 * (1 - confidence / self.confidence), 0, 1) * head * place.any(-1)
        color = self.colors[0] + side[..., None] * (self.colors[1] - self.colors[0])
        return PaintLayer(color, softened(steep * (low + side * (high - low)))[..., None])

    @staticmethod
    def left(turned: np.ndarray) -> np.ndarray:
        """How much of it true views show that are turned so many radians off the portrait's."""
        first, last = GONE
        return np.clip((last - turned) / (last - first), 0, 1)
