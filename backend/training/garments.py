"""Caps and collars painted on a head: panels and bands of any colours, which are to stay as they are.

The synthetic people's hats are of one colour, and the bright parts of their heads are gloss on hair, which moves with
the view. A refiner that knows no other takes a dark cap's white panel for such gloss and greys it; and what stands
beside a neck, such as a spacesuit's ring, it takes for skin. So a sample's pictures gain one of these, fixed to the
head as decals are (`backend.training.decals`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backend.training.paint_layers import PaintLayer, softened

BRIM, CAP_SLOPE, CROWN = (0.02, 0.09), (-0.4, 0.3), 0.1
"""A cap's: how high over the eyes it begins above them, metres; how much higher that is for each metre further back;
metres from the edge within which bands end."""
NECKLINE, COLLAR_SLOPE, DEPTH = (-0.17, -0.09), (-0.1, 0.6), 0.06
"""A collar's, likewise: its upper edge, and downwards from there."""
AXIS = -0.09
"""The head's middle behind the eyes, metres: panels run up around it."""
MOST_PANELS, MOST_BANDS = 5, 3
PLAIN = 0.5
"""How often one of its colours is black or white."""


@dataclass(frozen=True)
class Garment:
    """A cap or a collar on one head.

    Attributes:
        edge, slope: it ends at a height (metres over the eyes) of edge - slope * z, z the place's third coordinate.
        upwards: whether it covers what is higher than that, as a cap does, or lower.
        panels: (p,) rising radians about the head's axis, where one panel ends and the next begins; 0 is in front.
        bands: (b,) rising metres from the edge.
        mirrored: whether both sides have the same panels.
        colors: (p + 1, b + 1, 3) sRGB in 0..255.
        strength: how much of what is beneath it hides.
    """

    edge: float
    slope: float
    upwards: bool
    panels: np.ndarray
    bands: np.ndarray
    mirrored: bool
    colors: np.ndarray
    strength: float

    @classmethod
    def cap(cls, rng: np.random.Generator) -> Garment:
        """Any cap of a few colours."""
        return cls._draw(rng, BRIM, CAP_SLOPE, True, CROWN)

    @classmethod
    def collar(cls, rng: np.random.Generator) -> Garment:
        """Any collar of a few colours."""
        return cls._draw(rng, NECKLINE, COLLAR_SLOPE, False, DEPTH)

    @classmethod
    def _draw(
        cls,
        rng: np.random.Generator,
        edge: tuple[float, float],
        slope: tuple[float, float],
        upwards: bool,
        reach: float,
    ) -> Garment:
        panels, bands = rng.integers(0, MOST_PANELS + 1), rng.integers(0, MOST_BANDS + 1)
        mirrored = bool(rng.random() < 0.7)
        palette = np.where(rng.random((4, 1)) < PLAIN, rng.choice([10.0, 245.0], (4, 1)), rng.uniform(0, 255, (4, 3)))
        # Most of it is of one colour.
        chosen = rng.integers(0, 4, (panels + 1, bands + 1)) * (rng.random((panels + 1, bands + 1)) < 0.6)
        return cls(
            rng.uniform(*edge),
            rng.uniform(*slope),
            upwards,
            np.sort(rng.uniform(0 if mirrored else -np.pi, np.pi, panels)),
            np.sort(rng.uniform(0, reach, bands)),
            mirrored,
            palette[chosen],
            rng.uniform(0.7, 1),
        )

    def layers(self, place: np.ndarray) -> list[PaintLayer]:
        """The garment over a picture that shows the places (H, W, 3)."""
        place = place.astype(np.float32)
        above = place[..., 1] - self.edge + self.slope * place[..., 2]
        within = above if self.upwards else -above
        angle = np.arctan2(place[..., 0], place[..., 2] - AXIS)
        panel = np.searchsorted(self.panels, np.abs(angle) if self.mirrored else angle)
        color = softened(self.colors[panel, np.searchsorted(self.bands, within)])
        return [PaintLayer(color, self.strength * softened(place.any(-1) & (within > 0))[..., None])]
