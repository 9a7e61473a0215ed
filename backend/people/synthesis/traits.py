"""Colours of skin, hair, eyes and clothes, and what the skin is like."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SKIN_TONES = np.array(
    [[248, 222, 205], [238, 203, 180], [224, 182, 153], [201, 152, 120], [168, 118, 88], [128, 84, 62], [92, 60, 46]]
)
"""sRGB, light to dark: plausible averages; people lie between neighbours."""

HAIR_COLORS = np.array(
    [[24, 20, 18], [44, 31, 24], [70, 48, 34], [98, 68, 45], [140, 104, 70], [186, 154, 108], [128, 70, 40],
     [120, 116, 112], [188, 186, 182]]
)  # fmt: skip
IRIS_COLORS = np.array([[62, 38, 22], [92, 62, 34], [72, 104, 132], [84, 108, 76], [108, 120, 126]])
LIP_TINTS = np.array([[0.86, 0.66, 0.64], [0.84, 0.58, 0.57]])


@dataclass(frozen=True)
class Traits:
    """A person's colours, sRGB in [0, 1], and what the skin is like.

    Attributes:
        skin, hair, iris, lips: base colours. cloth: two colours.
        blotches, blush, freckles, pores, shine: strengths, 0 for none.
        brow_density, lash_density: in [0, 1].
    """

    skin: np.ndarray
    hair: np.ndarray
    iris: np.ndarray
    lips: np.ndarray
    cloth: np.ndarray
    blotches: float
    blush: float
    freckles: float
    pores: float
    shine: float
    brow_density: float
    lash_density: float


def draw_traits(seed: int) -> Traits:
    """Draw a person's; the same seed gives the same ones."""
    rng = np.random.default_rng([seed, 0])
    tone = rng.uniform(0, len(SKIN_TONES) - 1)
    skin = _between(SKIN_TONES, tone) / 255 * rng.normal(1, 0.02, 3)
    dark = tone > 3.5
    weights = np.array([5, 4, 3, 0, 0, 0, 0, 1, 0.5]) if dark else np.array([2, 3, 3, 3, 2, 2, 1, 1, 1])
    hair = HAIR_COLORS[rng.choice(len(HAIR_COLORS), p=weights / weights.sum())] / 255 * rng.uniform(0.85, 1.2)
    iris = IRIS_COLORS[rng.choice(2 if dark else len(IRIS_COLORS))] / 255 * rng.uniform(0.85, 1.15)
    lips = skin * LIP_TINTS[rng.integers(len(LIP_TINTS))] * rng.uniform(0.92, 1.05, 3)
    cloth = rng.uniform(0.08, 0.85, (2, 1)) * rng.uniform(0.7, 1.15, (2, 3))
    return Traits(
        skin=np.clip(skin, 0.05, 0.98),
        hair=np.clip(hair, 0.03, 0.95),
        iris=np.clip(iris, 0, 1),
        lips=np.clip(lips, 0.05, 0.95),
        cloth=np.clip(cloth, 0.03, 0.92),
        blotches=rng.uniform(0.2, 1.0),
        blush=rng.uniform(0.1, 0.8),
        freckles=max(0.0, rng.uniform(-2.0, 1.0)) * (not dark),
        pores=rng.uniform(0.01, 0.035),
        shine=rng.uniform(0.02, 0.10),
        brow_density=rng.uniform(0.45, 0.9),
        lash_density=rng.uniform(0.2, 0.9),
    )


def _between(colors: np.ndarray, place: float) -> np.ndarray:
    low = min(int(place), len(colors) - 2)
    return colors[low] + (place - low) * (colors[low + 1] - colors[low])
