"""Who a synthetic person is: everything that is drawn from the seed, before anything is built."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flame import HeadModel

SKIN_TONES = np.array(
    [[248, 222, 205], [238, 203, 180], [224, 182, 153], [201, 152, 120], [168, 118, 88], [128, 84, 62], [92, 60, 46]]
)
"""sRGB, light to dark: plausible averages; people lie between neighbours."""

HAIR_COLORS = np.array(
    [[24, 20, 18], [44, 31, 24], [70, 48, 34], [98, 68, 45], [140, 104, 70], [186, 154, 108], [128, 70, 40],
     [120, 116, 112], [188, 186, 182]]
)  # fmt: skip
IRIS_COLORS = np.array([[62, 38, 22], [92, 62, 34], [72, 104, 132], [84, 108, 76], [108, 120, 126]])
LIP_TINTS = np.array([[0.86, 0.66, 0.64], [0.84, 0.58, 0.57], [0.78, 0.38, 0.42]])

HAIR_STYLES = {"short": 0.32, "medium": 0.22, "long": 0.22, "buzz": 0.08, "bald": 0.08, "cap": 0.08}
SMILES = ("mouthSmileLeft", "mouthSmileRight")
RESTING = ("browInnerUp", "browDownLeft", "browDownRight", "mouthPressLeft", "mouthPressRight", "cheekSquintLeft",
           "cheekSquintRight", "mouthFrownLeft", "mouthFrownRight")  # fmt: skip


@dataclass(frozen=True)
class Traits:
    """A person's looks; colours are sRGB in [0, 1].

    Attributes:
        seed: fixes everything, here and in whatever is built from it.
        betas, expression: the head model's coefficients; the expression is the portrait's.
        skin, hair, iris, lips: base colours.
        hair_style: a key of `HAIR_STYLES`.
        blotches, blush, freckles, stubble, pores, shine: strengths, 0 for none.
        brow_width: metres; brow_density, lash_density: in [0, 1].
        glasses: whether there are any.
        collar: metres below the chin where clothing begins; neckline: metres that it dips in front.
        cloth: two colours; pattern: 0 plain, 1 stripes, 2 knit.
    """

    seed: int
    betas: np.ndarray
    expression: np.ndarray
    skin: np.ndarray
    hair: np.ndarray
    iris: np.ndarray
    lips: np.ndarray
    hair_style: str
    blotches: float
    blush: float
    freckles: float
    stubble: float
    pores: float
    shine: float
    brow_width: float
    brow_density: float
    lash_density: float
    glasses: bool
    collar: float
    neckline: float
    cloth: np.ndarray
    pattern: int

    def rng(self, purpose: int) -> np.random.Generator:
        """Random numbers for one purpose, independent of all others."""
        return np.random.default_rng([self.seed, purpose])


def draw_traits(seed: int, model: HeadModel) -> Traits:
    """Draw a person; the same seed gives the same one."""
    rng = np.random.default_rng([seed, 0])
    tone = rng.uniform(0, len(SKIN_TONES) - 1)
    skin = _between(SKIN_TONES, tone) / 255 * rng.normal(1, 0.02, 3)
    dark = tone > 3.5
    weights = np.array([5, 4, 3, 0, 0, 0, 0, 1, 0.5]) if dark else np.array([2, 3, 3, 3, 2, 2, 1, 1, 1])
    hair = HAIR_COLORS[rng.choice(len(HAIR_COLORS), p=weights / weights.sum())] / 255 * rng.uniform(0.85, 1.2)
    iris = IRIS_COLORS[rng.choice(2 if dark else len(IRIS_COLORS))] / 255 * rng.uniform(0.85, 1.15)
    stubble = max(0.0, rng.uniform(-1.2, 0.7))
    made_up = stubble == 0 and rng.random() < 0.35
    lips = skin * (LIP_TINTS[2] if made_up else LIP_TINTS[rng.integers(2)]) * rng.uniform(0.92, 1.05, 3)
    cloth = rng.uniform(0.08, 0.85, (2, 1)) * rng.uniform(0.7, 1.15, (2, 3))
    return Traits(
        seed=seed,
        betas=np.clip(rng.normal(0, 0.7, model.num_shape), -1.2, 1.2).astype(np.float32),
        expression=_draw_expression(rng, model),
        skin=np.clip(skin, 0.05, 0.98),
        hair=np.clip(hair, 0.03, 0.95),
        iris=np.clip(iris, 0, 1),
        lips=np.clip(lips, 0.05, 0.95),
        hair_style=str(rng.choice(list(HAIR_STYLES), p=list(HAIR_STYLES.values()))),
        blotches=rng.uniform(0.2, 1.0),
        blush=rng.uniform(0.1, 0.8) * (0.4 if stubble else 1),
        freckles=max(0.0, rng.uniform(-2.0, 1.0)) * (not dark),
        stubble=stubble,
        pores=rng.uniform(0.01, 0.035),
        shine=rng.uniform(0.02, 0.10),
        brow_width=rng.uniform(0.0012, 0.0024),
        brow_density=rng.uniform(0.45, 0.9),
        lash_density=rng.uniform(0.5, 0.9) if made_up else rng.uniform(0.2, 0.6),
        glasses=bool(rng.random() < 0.18),
        collar=rng.uniform(0.015, 0.065),
        neckline=rng.uniform(0.02, 0.09) if rng.random() < 0.4 else 0.0,
        cloth=np.clip(cloth, 0.03, 0.92),
        pattern=int(rng.choice(3, p=[0.6, 0.15, 0.25])),
    )


def _between(colors: np.ndarray, place: float) -> np.ndarray:
    low = min(int(place), len(colors) - 2)
    return colors[low] + (place - low) * (colors[low + 1] - colors[low])


def _draw_expression(rng: np.random.Generator, model: HeadModel) -> np.ndarray:
    """The portrait's: mostly calm, often a smile; ARKit names where the model has them, else small coefficients."""
    expression = np.zeros(model.num_expression, np.float32)
    names = list(model.expression_names)
    if SMILES[0] not in names:
        expression[:10] = rng.normal(0, 0.4, min(10, len(names)))
        return expression
    if rng.random() < 0.5:
        expression[[names.index(name) for name in SMILES]] = rng.uniform(0.1, 0.6)
    for name in rng.choice(RESTING, 2, replace=False):
        expression[names.index(name)] = max(0.0, rng.uniform(-0.2, 0.25))
    return expression
