"""Caps painted on a head: panels and bands of any colours, which are to stay as they are.

The synthetic people's hats are of one colour, and the bright parts of their heads are gloss on hair, which moves with
the view. A refiner that knows no other takes a dark cap's white panel for such gloss and greys it. So a sample's
pictures gain a cap, fixed to the head as marks are (`backend.training.marks`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backend.training.painting import recolored, softened

BRIM = (0.02, 0.09)
"""How high over the eyes it begins above them, metres."""
SLOPE = (-0.4, 0.3)
"""How much higher that is for each metre further back."""
AXIS = -0.09
"""The head's middle behind the eyes, metres: panels run up around it."""
MOST_PANELS, MOST_BANDS = 5, 3
CROWN = 0.1
"""Metres above the brim within which bands end."""
PLAIN = 0.5
"""How often one of its colours is black or white."""


@dataclass(frozen=True)
class Cap:
    """A cap on one head.

    Attributes:
        brim, slope: it covers what is higher (metres over the eyes) than brim - slope * z, z the place's third
            coordinate.
        panels: (p,) rising radians about the head's axis, where one panel ends and the next begins; 0 is in front.
        bands: (b,) rising metres above the brim.
        mirrored: whether both sides have the same panels.
        colors: (p + 1, b + 1, 3) sRGB in 0..255.
        strength: how much of what is beneath it hides.
    """

    brim: float
    slope: float
    panels: np.ndarray
    bands: np.ndarray
    mirrored: bool
    colors: np.ndarray
    strength: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Cap:
        """Any cap of a few colours."""
        panels, bands = rng.integers(0, MOST_PANELS + 1), rng.integers(0, MOST_BANDS + 1)
        mirrored = bool(rng.random() < 0.7)
        palette = np.where(rng.random((4, 1)) < PLAIN, rng.choice([10.0, 245.0], (4, 1)), rng.uniform(0, 255, (4, 3)))
        # Most of it is of one colour.
        chosen = rng.integers(0, 4, (panels + 1, bands + 1)) * (rng.random((panels + 1, bands + 1)) < 0.6)
        return cls(
            rng.uniform(*BRIM),
            rng.uniform(*SLOPE),
            np.sort(rng.uniform(0 if mirrored else -np.pi, np.pi, panels)),
            np.sort(rng.uniform(0, CROWN, bands)),
            mirrored,
            palette[chosen],
            rng.uniform(0.7, 1),
        )

    def paint(self, picture: np.ndarray, place: np.ndarray) -> np.ndarray:
        """A picture (H, W, 3 or 4) uint8, alpha as it was, with the cap on the places (H, W, 3) that it shows."""
        place = place.astype(np.float32)
        above = place[..., 1] - self.brim + self.slope * place[..., 2]
        angle = np.arctan2(place[..., 0], place[..., 2] - AXIS)
        panel = np.searchsorted(self.panels, np.abs(angle) if self.mirrored else angle)
        paint = self.colors[panel, np.searchsorted(self.bands, above)]
        paint, cover = softened(paint), softened(place.any(-1) & (above > 0))
        color = picture[..., :3] + self.strength * cover[..., None] * (paint - picture[..., :3])
        return recolored(picture, color)
