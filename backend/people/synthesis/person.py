"""Who a person of the corpus is: everything drawn from the seed before anything is built."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from backend.people.synthesis.identity import HeadShape, ShapeSource
from backend.people.synthesis.traits import SKIN_TONES, Traits, draw_traits

HAIR_STYLES = ("bald", "balding", "buzz", "crop", "swept", "parted", "curls", "afro", "bob", "long", "fringe",
               "long_curls", "ponytail", "bun")  # fmt: skip
MALE_STYLES = np.array([6, 7, 10, 18, 16, 14, 8, 6, 1, 4, 1, 3, 3, 3])
FEMALE_STYLES = np.array([1, 0, 1, 3, 4, 6, 6, 5, 14, 18, 12, 12, 9, 9])
BEARDS = ("none", "stubble", "moustache", "goatee", "short", "full")
HATS = ("none", "beanie", "cap", "scarf")
COLLARS = ("crew", "vee", "shirt", "turtleneck", "hood")
GLASSES = ("none", "wire", "acetate", "round", "sun")
LIGHTEST = 0.5
"""Of the tones: lighter skin looks powdered in these lights."""


@dataclass(frozen=True, eq=False)
class Person:
    """A person's looks; colours are sRGB in [0, 1].

    Attributes:
        seed: fixes everything, here and in whatever is built from it.
        shape: the head at rest.
        traits: skin, hair, iris, lips and their strengths, as the synthetic portraits have them.
        age_lines: strength of wrinkles, in [0, 1]. make_up: strength, in [0, 1].
        hair, beard, hat, collar, glasses: keys of the tuples above.
        grey: share of grey hair.
    """

    seed: int
    shape: HeadShape
    traits: Traits
    age_lines: float
    make_up: float
    hair: str
    beard: str
    hat: str
    collar: str
    glasses: str
    grey: float

    def rng(self, purpose: int) -> np.random.Generator:
        """Random numbers for one purpose, independent of all others."""
        return np.random.default_rng([self.seed, 1000 + purpose])

    def describe(self) -> dict:
        """For JSON: what is drawn, without the shape's arrays."""
        shown = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("shape", "traits")}
        shape = {name: getattr(self.shape, name) for name in ("male", "age", "ancestry", "exact")}
        colours = {name: [round(float(x), 3) for x in getattr(self.traits, name)] for name in ("skin", "hair", "iris")}
        return shown | shape | colours


def draw_person(seed: int, shapes: ShapeSource) -> Person:
    """Draw a person; the same seed gives the same one."""
    rng = np.random.default_rng([seed, 1000])
    shape = shapes.draw(rng)
    man = rng.random() < np.clip((shape.male - 0.5) * 2.5 + 0.5, 0, 1)
    adult = shape.age > 0.55
    old = float(np.clip((shape.age - 0.72) / 0.25, 0, 1))
    styles = (MALE_STYLES if man else FEMALE_STYLES).astype(float)
    if not adult:
        styles[:2] = 0
    beard = rng.choice(BEARDS, p=[0.4, 0.2, 0.05, 0.1, 0.15, 0.1]) if man and adult else "none"
    make_up = rng.uniform(0.2, 1.0) if not man and adult and rng.random() < 0.5 else 0.0
    grey = float(np.clip(old * rng.uniform(0, 1.4) - 0.15, 0, 1))
    return Person(
        seed=seed,
        shape=shape,
        traits=_coloured(draw_traits(seed, shapes.model), rng, shape, make_up, grey),
        age_lines=float(np.clip(old * rng.uniform(0.5, 1.2) + rng.uniform(0, 0.15), 0, 1)),
        make_up=make_up,
        hair=str(rng.choice(HAIR_STYLES, p=styles / styles.sum())),
        beard=str(beard),
        hat=str(rng.choice(HATS, p=[0.88, 0.05, 0.04, 0.03] if not man else [0.88, 0.06, 0.06, 0.0])),
        collar=str(rng.choice(COLLARS, p=[0.38, 0.17, 0.22, 0.12, 0.11])),
        glasses=str(rng.choice(GLASSES, p=[0.78, 0.07, 0.08, 0.05, 0.02])),
        grey=grey,
    )


def _coloured(traits: Traits, rng: np.random.Generator, shape: HeadShape, make_up: float, grey: float) -> Traits:
    """The traits with a skin tone that goes with the head's shape, not always, and with grey in the hair."""
    african, asian, caucasian = shape.ancestry
    likely = 4.7 * african + 2.1 * asian + 1.4 * caucasian
    tone = float(np.clip(likely + rng.normal(0, 0.8), LIGHTEST, len(SKIN_TONES) - 1.001))
    low = int(tone)
    skin = (SKIN_TONES[low] + (tone - low) * (SKIN_TONES[low + 1] - SKIN_TONES[low])) / 255
    skin = np.clip(skin * rng.normal(1, 0.015, 3), 0.05, 0.95)
    hair, iris = traits.hair, traits.iris
    if tone > 2.4 or asian > 0.6:
        hair = np.array([30, 24, 21]) / 255 * rng.uniform(0.8, 1.5)
        iris = np.array([66, 42, 26]) / 255 * rng.uniform(0.85, 1.2)
    ash = np.array([0.66, 0.65, 0.63])
    hair = hair * (1 - grey) + ash * grey
    tint = np.array([0.80, 0.36, 0.40]) if make_up else np.array([0.86, 0.64, 0.62])
    amount = 0.35 + 0.5 * make_up if make_up else 1.0
    lips = skin * (1 - amount + amount * tint)
    return replace(traits, skin=skin, hair=np.clip(hair, 0.03, 0.9), iris=iris, lips=lips,
                   freckles=traits.freckles * (tone < 2.2))  # fmt: skip
