"""What is worn: clothes, hats, headscarves and hoods, glasses."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from backend.people.synthesis import accessories, dressing
from backend.people.synthesis.figure import Figure
from backend.people.synthesis.noise import to_linear
from backend.people.synthesis.surface import Subdivision

FRAMES = ([0.02, 0.02, 0.02], [0.10, 0.04, 0.02], [0.35, 0.28, 0.18], [0.3, 0.3, 0.32])
"""Colours of glasses, linear."""


def add_clothes(figure: Figure) -> None:
    """A photographed garment, or cloth over the torso with a collar."""
    wardrobe = figure.person.wardrobe
    if wardrobe and wardrobe.garment:
        asset, material = wardrobe.garment
        mesh = dressing.trimmed(asset.mesh(), figure.base)
        points = mesh.fit(figure.base)
        settings = dressing.fabric(material, wardrobe.hue) | {"label": "clothing"}
        positions = _with_the_body(figure, points)
        figure.scene.mesh("cloth", positions, mesh.faces, settings, corner_uv=mesh.uv[mesh.uv_faces])
        return
    person, model, rest, rng = figure.person, figure.model, figure.rest, figure.person.rng(33)
    cloth = accessories.dress(person, figure.anatomy, rest, model.faces)
    fine = Subdivision.of(cloth["faces"], len(cloth["index"]))
    place = figure.anatomy.template[cloth["index"]]
    fabric = {
        "kind": "cloth",
        "label": "clothing",
        "color": to_linear(person.traits.cloth[0]).tolist(),
        "second": to_linear(person.traits.cloth[1]).tolist(),
        "pattern": str(rng.choice(["plain", "stripes", "knit", "checks"], p=[0.55, 0.15, 0.2, 0.1])),
        "scale": float(rng.uniform(20, 70)),
    }
    positions = [
        fine.positions(accessories.stand_off(v.vertices, model.faces, cloth["index"], cloth["off"]), cloth["faces"])
        for v in figure.moments
    ]
    figure.scene.mesh("cloth", positions, fine.faces, fabric | {"cut": True}, place=fine.values(place),
                      edge=fine.values(cloth["edge"]))  # fmt: skip
    for name, side in (("left", 1.0), ("right", -1.0)):
        ends = np.flatnonzero(side * place[:, 0] > accessories.SHOULDER_CUT)
        if len(ends):
            sleeves = [accessories.make_sleeve(points[ends], side) for points in positions]
            placed = [sleeve["vertices"] for sleeve in sleeves]
            figure.scene.mesh(f"sleeve_{name}", placed, sleeves[0]["faces"], fabric, place=placed[0])
    collar = accessories.make_collar(person, figure.anatomy, rest, model.faces)
    band = fabric | {"pattern": "knit" if fabric["pattern"] == "knit" else "plain"}
    placed = [motion.hanging(collar["vertices"]) for motion in figure.motions]
    figure.scene.mesh("collar", placed, collar["faces"], band, place=collar["vertices"])


def _with_the_body(figure: Figure, points: np.ndarray) -> list[np.ndarray]:
    """Points (n, 3) at rest, moved in each moment as the skin beside them, so that no skin comes through."""
    low = np.flatnonzero((figure.anatomy.head_weight < 0.9) & ~figure.anatomy.mouth)
    distance, near = cKDTree(figure.rest[low]).query(points, k=4)
    weight = 1 / (distance + 0.004)
    weight /= weight.sum(1, keepdims=True)
    moved = [view.vertices[low] - figure.rest[low] for view in figure.moments]
    return [(points + np.einsum("nk,nkc->nc", weight, offsets[near])).astype(np.float32) for offsets in moved]


def add_headwear(figure: Figure) -> None:
    """A hat, cap, headscarf or hood."""
    person, rng = figure.person, figure.person.rng(34)
    wardrobe = person.wardrobe
    if wardrobe and wardrobe.hat:
        asset, material = wardrobe.hat
        mesh = asset.mesh()
        points = mesh.fit(figure.base)
        settings = dressing.fabric(material, 0.5) | {"label": "headwear"}
        positions = [motion.head(points) for motion in figure.motions]
        figure.scene.mesh("hat", positions, mesh.faces, settings, corner_uv=mesh.uv[mesh.uv_faces])
        return
    color = np.clip(rng.uniform(0.05, 0.8) * rng.uniform(0.6, 1.2, 3), 0.02, 0.9)
    if person.hat == "hood":
        color = person.traits.cloth[0]
    felt = {
        "kind": "cloth", "label": "headwear", "color": to_linear(color).tolist(), "second": to_linear(color).tolist(),
        "pattern": "knit" if person.hat == "beanie" else "plain", "scale": 40.0,
    }  # fmt: skip
    for hat in accessories.make_hat(person, figure.anatomy, figure.rest):
        hanging = person.hat in ("headscarf", "hood")
        positions = [(m.hanging if hanging else m.head)(hat["vertices"]) for m in figure.motions]
        figure.scene.mesh(hat["name"], positions, hat["faces"], felt, place=hat["vertices"])


def add_glasses(figure: Figure) -> None:
    """Frame and lenses."""
    person, rng = figure.person, figure.person.rng(35)
    dark, metal = person.glasses == "sun", person.glasses in ("wire", "round")
    color = FRAMES[rng.integers(len(FRAMES))]
    marks = figure.model.landmark_positions(figure.rest)
    for part in accessories.make_glasses(person, figure.anatomy, figure.rest, marks):
        material = (
            {"kind": "plain", "color": color, "roughness": 0.25, "metallic": float(metal)}
            if part["name"] == "frame"
            else {"kind": "clear", "tint": 0.12 if dark else 0.97, "roughness": 0.10}
        )
        positions = [motion.head(part["vertices"]) for motion in figure.motions]
        figure.scene.mesh(part["name"], positions, part["faces"], material | {"label": "eyewear"})
