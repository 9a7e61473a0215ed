"""Decals painted on a head: what no training person wears, such as an emblem, and is to stay as it is.

A refiner that has seen no badge takes one for a fault and paints it over. So a sample's pictures gain spots of any
colour, plain or striped as embroidery is, fixed to places on the head: the avatar's views, the warped portrait, the
portrait and the true views alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backend.training.paint_layers import PaintLayer, softened

LARGEST, SMALLEST = 0.05, 0.004
"""Half a decal's width, metres."""
MOST = 5
STRIPED, MOST_TURNS = 0.5, 4.0
"""The share of decals that are striped, and at most how often their stripes change over a decal's half width."""


@dataclass(frozen=True)
class Decals:
    """Decals on one head.

    Attributes:
        centers, radii: (n, 3) metres, see `RenderedView.place`; colors: (n, 2, 3) sRGB in 0..255, of the stripes;
        waves: (n, 3) radians over a radius, across the stripes; strengths: (n,).
    """

    centers: np.ndarray
    radii: np.ndarray
    colors: np.ndarray
    waves: np.ndarray
    strengths: np.ndarray

    @classmethod
    def draw(cls, place: np.ndarray, sure: np.ndarray, rng: np.random.Generator) -> Decals:
        """Between one and `MOST`, at places (H, W, 3) that are known, as often where the photo is not sure (H, W) as
        where it is: what it sees steeply, such as a cap's side, is the sooner taken for a fault."""
        known = place.any(-1)
        groups = [places for k in (sure, ~sure) if len(places := place[known & k].astype(np.float32))]
        count = int(rng.integers(1, MOST + 1)) if groups else 0
        chosen = [groups[rng.integers(len(groups))] for _ in range(count)]
        size = SMALLEST * (LARGEST / SMALLEST) ** rng.random((count, 1))
        striped = rng.random((count, 1)) < STRIPED
        simple, bright = rng.random((count, 2, 1)) < 0.3, rng.random((count, 2, 3))
        return cls(
            np.array([places[rng.integers(len(places))] for places in chosen], np.float32).reshape(count, 3),
            size * np.exp(rng.uniform(-0.7, 0.3, (count, 3))),
            255 * np.where(simple, rng.integers(0, 2, (count, 2, 1)), bright),
            striped * rng.uniform(-1, 1, (count, 3)) * 2 * np.pi * MOST_TURNS,
            rng.uniform(0.5, 1, count),
        )

    def layers(self, place: np.ndarray) -> list[PaintLayer]:
        """The decals over a picture that shows the places (H, W, 3)."""
        known, layers = place.any(-1), []
        decals = zip(self.centers, self.radii, self.colors, self.waves, self.strengths, strict=True)
        for center, radius, (first, second), wave, strength in decals:
            local = (place - center) / radius
            shapes = known & (np.square(local).sum(-1) < 1), np.sin(local @ wave) < 0
            cover, stripe = (softened(shape)[..., None] for shape in shapes)
            layers.append(PaintLayer(first + stripe * (second - first), strength * cover))
        return layers
