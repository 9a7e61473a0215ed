"""Which of MakeHuman's assets a person wears: skins, eyes, hair, brows, lashes, teeth, clothes, a hat."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from backend.people.makehuman.library import Asset, Library
from backend.people.makehuman.materials import Material
from backend.people.synthesis.dressing import skin_color
from backend.people.synthesis.identity import HeadShape
from backend.people.synthesis.noise import to_linear, to_srgb

Thing = TypeVar("Thing")

HELD_OUT_ASSETS = frozenset((
    "middleage_caucasian_male", "young_caucasian_female2", "young_african_male", "old_asian_female",
    "short03", "braid01",
    "male_casualsuit03", "female_elegantsuit01",
))  # fmt: skip
"""Four skins, two hairs and two garments that only held-out people wear; `light.HELD_OUT_SKIES` are theirs, too."""
HELD_OUT_LIKING = 3.0
"""How much likelier a held-out person wears one of those than any other."""
AGES = {"young": 0.62, "middleage": 0.78, "old": 0.95}
"""anny's ages that MakeHuman's skins are photographs of."""
ANCESTRIES = ("african", "asian", "caucasian")


@dataclass(frozen=True)
class Wardrobe:
    """A person's assets.

    Attributes:
        skins: two photographs, of which the second has a share in [0, 1]. tint: (3,) what their light is multiplied by.
        eye, brows, lashes, teeth: one each.
        hair: cards, or None where hair is grown as strands or not at all.
        garment: clothes and what they are made of, or None where they are drawn. hue: turns their colour, in [0, 1].
        hat: a hat and its cloth, or None.
    """

    skins: tuple[Material, Material]
    share: float
    tint: np.ndarray
    eye: Material | None
    brows: Asset
    lashes: Asset
    teeth: Asset
    hair: Asset | None
    garment: tuple[Asset, Material] | None
    hue: float
    hat: tuple[Asset, Material] | None

    @property
    def skin_color(self) -> np.ndarray:
        """(3,) sRGB in [0, 1] of the face."""
        first, second = (to_linear(np.array(skin_color(skin.diffuse))) for skin in self.skins)
        return np.clip(to_srgb((first * (1 - self.share) + second * self.share) * self.tint), 0.03, 0.97)

    def describe(self) -> dict:
        """Their names, for JSON."""
        worn = {name: getattr(self, name) for name in ("eye", "brows", "lashes", "teeth", "hair")}
        names = {f"asset_{name}": thing.name if thing else None for name, thing in worn.items()}
        names |= {f"asset_{name}": both[1].name if (both := getattr(self, name)) else None
                  for name in ("garment", "hat")}  # fmt: skip
        return names | {"asset_skins": [skin.name for skin in self.skins], "asset_skin_share": round(self.share, 3)}


def draw_wardrobe(
    rng: np.random.Generator,
    library: Library,
    shape: HeadShape,
    man: bool,
    held_out: bool,
    cards: bool,
    garment: bool,
    hat: bool,
) -> Wardrobe:
    """Draw what a person of a shape wears; whether hair as cards, a photographed garment, and a hat."""

    def choose(things: Mapping[str, Thing], likely: Mapping[str, float] | None = None) -> Thing:
        names = [name for name in things if held_out or name not in HELD_OUT_ASSETS] or list(things)
        weight = np.array([(likely or {}).get(name, 1.0) for name in names], float)
        weight *= [HELD_OUT_LIKING if name in HELD_OUT_ASSETS else 1.0 for name in names]
        weight = weight if weight.sum() > 0 else np.ones(len(names))
        return things[names[rng.choice(len(names), p=weight / weight.sum())]]

    skins = {name: _skin_fits(skin, shape, man) for name, skin in library.skins.items()}
    first = choose(library.skins, skins)
    second = choose(library.skins, skins)
    share = float(rng.beta(0.6, 0.6) * 0.5)
    # Mostly brightness; a little redder or yellower.
    tint = np.exp(rng.normal(0, 0.10) + rng.normal(0, 1, 3) * [0.02, 0.03, 0.05])
    hair = choose(library.hair, {n: _worn_by(a, man) for n, a in library.hair.items()}) if cards else None
    clothes = {name: _worn_by(asset, man) for name, asset in library.clothes.items()}
    cloth = choose(library.clothes, clothes) if garment and library.clothes else None
    cap = choose(library.hats) if hat and library.hats else None
    return Wardrobe(
        (first, second), share, tint, _eye(rng, library, shape), choose(library.brows), choose(library.lashes),
        choose(library.teeth), hair, _with_material(rng, cloth), float(rng.normal(0.5, 0.15) % 1),
        _with_material(rng, cap),
    )  # fmt: skip


def _skin_fits(skin: Material, shape: HeadShape, man: bool) -> float:
    """How likely a skin is that of a person, by what its file's tags say."""
    sex = 1.0 if ("male" if man else "female") in skin.tags else 0.0
    age = next((place for name, place in AGES.items() if name in skin.tags), 0.75)
    folk = next((share for name, share in zip(ANCESTRIES, shape.ancestry, strict=True) if name in skin.tags), 0.3)
    return sex * np.exp(-(((shape.age - age) / 0.10) ** 2)) * (folk + 0.02) ** 2


def _worn_by(asset: Asset, man: bool) -> float:
    tags = asset.mesh().tags | {asset.name.split("_")[0]}
    other, own = ("female", "male") if man else ("male", "female")
    return 0.08 if other in tags and own not in tags else 1.0


def _eye(rng: np.random.Generator, library: Library, shape: HeadShape) -> Material | None:
    """Light eyes only where many have them; for the brown ones there is one photograph, which is darkened."""
    brown = [eye for name, eye in library.eyes.items() if "brown" in name]
    light = [eye for name, eye in library.eyes.items() if "brown" not in name]
    wanted = light if light and (not brown or rng.random() < 0.65 * shape.ancestry[2] ** 3) else brown
    return wanted[rng.integers(len(wanted))] if wanted else None


def _with_material(rng: np.random.Generator, asset: Asset | None) -> tuple[Asset, Material] | None:
    return None if asset is None else (asset, asset.materials[rng.integers(len(asset.materials))])
