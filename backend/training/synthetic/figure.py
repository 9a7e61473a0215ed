"""A whole synthetic person as one mesh: head, clothes, hair, cap, glasses, lit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np

from backend.people.synthesis.anatomy import Anatomy, anatomy_of
from backend.people.synthesis.noise import smoothstep
from backend.people.synthesis.traits import Traits
from backend.training.synthetic.glasses import make_glasses
from backend.training.synthetic.hair import grow_hair, hairline, put_on_cap
from backend.training.synthetic.light import Light, draw_light, irradiance
from flame import HeadModel
from flame.geometry import vertex_normals


class Part(IntEnum):
    """What a triangle belongs to."""

    BODY = 0
    HAIR = 1
    CAP = 2
    BRIM = 3
    GLASSES = 4


@dataclass(frozen=True, eq=False)
class Figure:
    """A person in the portrait's expression, head space, metres.

    Attributes:
        traits, anatomy, light: what it was made from.
        vertices, normals: (N, 3); the first ones are the head model's.
        faces: (F, 3); part: (F,), see `Part`.
        paint_place: (N, 3) where looks are painted: canonical coordinates on the body, strand coordinates (azimuth,
            way, 0) on shells.
        below_collar: (N,) metres below the clothing's edge, negative on bare skin.
        irradiance: (N, 3) linear.
        hairline: height (y) of the hairline in canonical coordinates.
    """

    traits: Traits
    anatomy: Anatomy
    light: Light
    vertices: np.ndarray
    normals: np.ndarray
    faces: np.ndarray
    part: np.ndarray
    paint_place: np.ndarray
    below_collar: np.ndarray
    irradiance: np.ndarray
    hairline: float

    def moved(self, vertices: np.ndarray, rotation: np.ndarray) -> Figure:
        """The same person with other vertices (N, 3), normals and light turned by a rotation (3, 3)."""
        return replace(self, vertices=vertices, normals=self.normals @ rotation.T, light=self.light.turned(rotation))


def build_figure(traits: Traits, model: HeadModel) -> Figure:
    """Put a person together."""
    anatomy = anatomy_of(model)
    body = model.rest_vertices(traits.betas, traits.expression)
    below = _below_collar(traits, anatomy)
    loose = traits.rng(7).uniform(0.003, 0.008)
    body = body + vertex_normals(body, model.faces) * (loose * smoothstep(below, 0, 0.012))[:, None]
    parts = [(Part.BODY, body, model.faces, anatomy.template)]
    hair = grow_hair(traits, anatomy, body)
    if hair is not None:
        parts.append((Part.HAIR, hair.vertices, hair.faces, _lift(hair.strand)))
    if traits.hair_style == "cap":
        for part, shell in zip((Part.CAP, Part.BRIM), put_on_cap(traits, anatomy, body), strict=True):
            parts.append((part, shell.vertices, shell.faces, _lift(shell.strand)))
    if traits.glasses:
        vertices, faces = make_glasses(traits, anatomy, body, model.landmark_positions(body))
        parts.append((Part.GLASSES, vertices, faces, vertices))
    offsets = np.cumsum([0] + [len(vertices) for _, vertices, _, _ in parts[:-1]])
    vertices = np.concatenate([v for _, v, _, _ in parts]).astype(np.float32)
    faces = np.concatenate([f + o for (_, _, f, _), o in zip(parts, offsets, strict=True)]).astype(np.int32)
    part = np.concatenate([np.full(len(f), p) for p, _, f, _ in parts])
    normals = vertex_normals(vertices, faces)
    light = draw_light(traits.rng(8))
    received = irradiance(light, vertices, normals, faces, two_sided=np.arange(len(vertices)) >= len(body))
    lit_face = received[: len(body)][anatomy.template[:, 2] > anatomy.landmarks[33, 2]]
    exposure = traits.rng(9).uniform(0.75, 1.0) / np.percentile(lit_face.mean(1), 70)
    return Figure(
        traits=traits,
        anatomy=anatomy,
        light=light,
        vertices=vertices,
        normals=normals,
        faces=faces,
        part=part,
        paint_place=np.concatenate([place for _, _, _, place in parts]).astype(np.float32),
        below_collar=np.concatenate([below, np.full(len(vertices) - len(body), -1.0)]).astype(np.float32),
        irradiance=(exposure * received).astype(np.float32),
        hairline=hairline(traits, anatomy),
    )


def _below_collar(traits: Traits, anatomy: Anatomy) -> np.ndarray:
    """Metres below the clothing's edge for each head-model vertex."""
    place = anatomy.template
    edge = anatomy.chin - traits.collar - 0.25 * np.clip(place[:, 2] - anatomy.center[2], -0.1, 0.1)
    front = place[:, 2] > anatomy.center[2]
    edge = edge - traits.neckline * np.clip(1 - np.abs(place[:, 0]) / 0.06, 0, 1) * front
    return np.where(anatomy.head_weight > 0.9, -1.0, edge - place[:, 1])


def _lift(strand: np.ndarray) -> np.ndarray:
    return np.concatenate([strand, np.zeros((len(strand), 1))], 1)
