"""What grows: hair as strands or on cards, brows, lashes, beard."""

from __future__ import annotations

import numpy as np

from backend.people.synthesis import dressing, facial_hair, hair
from backend.people.synthesis.figure import Figure
from backend.people.synthesis.noise import to_linear
from backend.people.synthesis.surface import Roots, Subdivision
from backend.people.synthesis.wardrobe import Wardrobe

BROW, LASH, BEARD = 0.9, 0.35, 0.85
"""Of the hair's colour."""
LIFT = 0.0004
"""Metres that brows' cards are lifted off the skin, which is rounder than the base mesh that they lie on."""


def add_hair(figure: Figure) -> None:
    """The hair of the head."""
    person = figure.person
    wardrobe, color = person.wardrobe, to_linear(person.traits.hair)
    if person.hair == "cards" and wardrobe and wardrobe.hair:
        mesh = wardrobe.hair.mesh()
        # Cards have few triangles; halved, their outline has no corners.
        fine = Subdivision.of(mesh.faces, len(mesh.corners))
        points = fine.positions(mesh.fit(figure.base), mesh.faces)
        material = dressing.card(wardrobe.hair.materials[0], color) | {"label": "hair"}
        positions = [motion.hanging(points) for motion in figure.motions]
        figure.scene.mesh("hair", positions, fine.faces, material, corner_uv=fine.corners(mesh.uv[mesh.uv_faces]))
        return
    grown = hair.grow_hair(person, figure.anatomy, figure.rest, figure.model.faces)
    if grown is not None and len(grown.strands):
        material = {"kind": "hair", "label": "hair", "color": color.tolist()}
        positions = [motion.hanging(grown.strands) for motion in figure.motions]
        figure.scene.hairs("hair", positions, grown.radius, material, grown.grey)


def add_facial_hair(figure: Figure) -> None:
    """Brows, lashes and beard."""
    person, anatomy, faces = figure.person, figure.anatomy, figure.model.faces
    color, rest = to_linear(person.traits.hair), figure.rest
    marks = figure.model.landmark_positions(rest)
    lash = np.array([0.006, 0.005, 0.005]) if person.make_up else LASH * color
    if person.wardrobe:
        _add_cards(figure, person.wardrobe, BROW * color, lash)
    else:
        _add_strands(figure, "brows", facial_hair.grow_brows(person, anatomy, rest, faces, marks), 7e-5, BROW * color)
        radius = 1.1e-4 if person.make_up else 7e-5
        _add_strands(figure, "lashes", facial_hair.grow_lashes(person, anatomy, rest, faces, marks), radius, lash)
    grown = facial_hair.grow_beard(person, anatomy, rest, faces)
    if grown is not None and len(grown[1]):
        _add_strands(figure, "beard", grown, 1e-4, BEARD * color)


def _add_cards(figure: Figure, wardrobe: Wardrobe, brow: np.ndarray, lash: np.ndarray) -> None:
    for name, asset, color, lift in (("brows", wardrobe.brows, brow, LIFT), ("lashes", wardrobe.lashes, lash, 0.0)):
        mesh = asset.mesh()
        heads = zip(figure.motions, figure.bases, strict=True)
        positions = [motion.head(mesh.fit(base) + np.array([0, 0, lift])) for motion, base in heads]
        material = dressing.card(asset.materials[0], color, 0.6) | {"label": "brows", "flat": True}
        figure.scene.mesh(name, positions, mesh.faces, material, corner_uv=mesh.uv[mesh.uv_faces])


def _add_strands(figure: Figure, name: str, grown: tuple[Roots, np.ndarray], radius: float, color: np.ndarray) -> None:
    """Short hairs that go with the skin that they are rooted in."""
    roots, strands = grown
    rest, faces = figure.rest, figure.model.faces
    base, frames = roots.on(rest, faces), roots.frames(rest, faces)
    local = np.einsum("nij,npi->npj", frames, strands - base[:, None])
    moved = [
        roots.on(v.vertices, faces)[:, None] + np.einsum("nij,npj->npi", roots.frames(v.vertices, faces), local)
        for v in figure.moments
    ]
    material = {"kind": "hair", "label": "beard" if name == "beard" else "brows", "color": color.tolist()}
    grey = np.full(len(strands), 0.0 if name == "lashes" else 0.5 * figure.person.grey)
    figure.scene.hairs(name, moved, radius, material, grey)
