"""Who a person of the corpus is: everything drawn from the seed before anything is built."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from backend.people.makehuman.library import Library
from backend.people.shards import is_held_out
from backend.people.synthesis.identity import HeadShape, ShapeSource
from backend.people.synthesis.traits import SKIN_TONES, Traits, draw_traits
from backend.people.synthesis.wardrobe import Wardrobe, draw_wardrobe

HAIR_STYLES = ("bald", "balding", "buzz", "fade", "crop", "swept", "parted", "curls", "afro", "bob", "long", "fringe",
               "long_curls", "ponytail", "bun", "cards")  # fmt: skip
"""All but the last are grown as strands; cards are MakeHuman's, where there are any."""
MALE_STYLES = np.array([5, 7, 9, 16, 12, 8, 6, 5, 5, 0, 2, 0, 1, 1, 1, 40])
FEMALE_STYLES = np.array([1, 0, 2, 1, 3, 3, 5, 5, 5, 7, 8, 6, 6, 5, 7, 60])
SHORT = ("bald", "balding", "buzz", "fade", "crop")
BEARDS = ("none", "stubble", "moustache", "goatee", "short", "full")
HATS = ("none", "beanie", "cap", "headscarf", "hood", "hat")
"""The last is MakeHuman's."""
MALE_HATS, FEMALE_HATS = [0.84, 0.05, 0.05, 0.0, 0.03, 0.03], [0.83, 0.04, 0.02, 0.08, 0.02, 0.01]
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
        traits: colours, and what the skin is like.
        age_lines: strength of wrinkles, in [0, 1]. make_up: strength, in [0, 1].
        hair, beard, hat, collar, glasses: keys of the tuples above.
        grey: share of grey hair; at the temples `grey_temples`.
        recede: in [0, 1], how far the hairline has gone back.
        wardrobe: MakeHuman's assets, or None where there are none.
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
    grey_temples: float
    recede: float
    wardrobe: Wardrobe | None

    def rng(self, purpose: int) -> np.random.Generator:
        """Random numbers for one purpose, independent of all others."""
        return np.random.default_rng([self.seed, 1000 + purpose])

    def describe(self) -> dict:
        """For JSON: what is drawn, without the shape's arrays."""
        shown = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("shape", "traits", "wardrobe")}
        shape = {name: getattr(self.shape, name) for name in ("male", "age", "ancestry")}
        colours = {name: [round(float(x), 3) for x in getattr(self.traits, name)] for name in ("skin", "hair", "iris")}
        return shown | shape | colours | (self.wardrobe.describe() if self.wardrobe else {})


def draw_person(seed: int, shapes: ShapeSource, library: Library | None = None) -> Person:
    """Draw a person; the same seed gives the same one, with the same assets or without any."""
    rng = np.random.default_rng([seed, 1000])
    shape = shapes.draw(rng)
    man = rng.random() < np.clip((shape.male - 0.5) * 2.5 + 0.5, 0, 1)
    adult = shape.age > 0.55
    old = float(np.clip((shape.age - 0.72) / 0.25, 0, 1))
    styles = (MALE_STYLES if man else FEMALE_STYLES).astype(float)
    if not adult:
        styles[:2] = 0
    if library is None:
        styles[-1] = 0
    beard = rng.choice(BEARDS, p=[0.4, 0.24, 0.04, 0.08, 0.14, 0.1]) if man and adult else "none"
    make_up = rng.uniform(0.2, 1.0) if not man and adult and rng.random() < 0.5 else 0.0
    grey = float(np.clip(old * rng.uniform(0, 1.4) - 0.15, 0, 1))
    traits = _coloured(draw_traits(seed), rng, shape, make_up, grey)
    hair = str(rng.choice(HAIR_STYLES, p=styles / styles.sum()))
    hat = str(rng.choice(HATS, p=MALE_HATS if man else FEMALE_HATS))
    if library is None and hat == "hat":
        hat = "cap"
    if hat != "none" and hair == "cards":
        # Cards fill the hat's place; strands are cut where it sits.
        hair = "crop" if man else "long"
    cards, photographed = hair == "cards", rng.random() < 0.6 and hat != "hood"
    wardrobe = None
    if library is not None:
        closet = np.random.default_rng([seed, 1001])
        wardrobe = draw_wardrobe(
            closet, library, shape, bool(man), is_held_out(seed), cards, bool(photographed), hat == "hat"
        )
        skin = wardrobe.skin_color
        traits = replace(traits, skin=skin, freckles=traits.freckles * (skin.mean() > 0.55))
    return Person(
        seed=seed,
        shape=shape,
        traits=traits,
        age_lines=float(np.clip(old * rng.uniform(0.5, 1.2) + rng.uniform(0, 0.15), 0, 1)),
        make_up=make_up,
        hair=hair,
        beard=str(beard),
        hat=hat,
        collar="hood" if hat == "hood" else str(rng.choice(COLLARS, p=[0.38, 0.17, 0.22, 0.12, 0.11])),
        glasses=str(rng.choice(GLASSES, p=[0.76, 0.08, 0.09, 0.05, 0.02])),
        grey=grey,
        grey_temples=float(np.clip(grey + (shape.age > 0.7) * (rng.random() < 0.4) * rng.uniform(0.3, 0.8), 0, 1)),
        recede=float(man and adult) * max(0.0, rng.uniform(-0.5, 1.0)) * (0.5 + 0.5 * old),
        wardrobe=wardrobe,
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
