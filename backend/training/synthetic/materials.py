"""Colour and shine of each part of a figure, at points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backend.people.synthesis.anatomy import FACE_SIDES
from backend.people.synthesis.noise import field_2d, field_3d, sample_2d, sample_3d, smoothstep
from backend.training.synthetic.face_paint import FacePaint, paint_face
from backend.training.synthetic.figure import Figure

SCLERA = np.array([0.86, 0.83, 0.81])
MOUTH = np.array([0.35, 0.14, 0.13])
IRIS_ANGLE, PUPIL_ANGLE = 29.0, 11.0
"""Degrees off the eye's axis."""


@dataclass(frozen=True)
class Surface:
    """What light does at P points.

    Attributes:
        color: (P, 3) sRGB albedo in [0, 1].
        shine: (P,) strength, sharpness: (P,) exponent of the highlight.
        opacity: (P,) in [0, 1].
    """

    color: np.ndarray
    shine: np.ndarray
    sharpness: np.ndarray
    opacity: np.ndarray


class Looks:
    """A figure's paints and noises, made once."""

    def __init__(self, figure: Figure) -> None:
        traits = figure.traits
        rng = traits.rng(10)
        self.figure = figure
        self.face: FacePaint = paint_face(traits, figure.anatomy)
        self.grain = field_3d(rng)
        self.strands = 0.6 * field_2d(rng, (512, 1024), (2.5, 0.9)) + 0.8 * field_2d(rng, (512, 1024), (20, 1.8))
        self.strand_contrast = rng.uniform(0.10, 0.22)
        self.strand_repeat = rng.uniform(1.0, 2.0)
        self.wave = rng.uniform(0, 0.05)
        self.frame = rng.uniform(0.03, 0.12) * np.ones(3) if rng.random() < 0.6 else rng.uniform(0.05, 0.4, 3)

    def body(self, place: np.ndarray, vertex_flags: dict[str, np.ndarray]) -> Surface:
        """Skin, scalp, clothes, eyes and mouth.

        Args:
            place: (P, 3) canonical coordinates.
            vertex_flags: (P,) each: below_collar in metres; head, eye_left, eye_right, ears, mouth in [0, 1].
        """
        traits, anatomy = self.figure.traits, self.figure.anatomy
        fine, coarse = sample_3d(self.grain, place, 900), sample_3d(self.grain, place, 150)
        skin = traits.skin * (1 + 0.015 * traits.blotches * coarse[:, None] + traits.pores * fine[:, None])
        side = anatomy.landmarks[FACE_SIDES[0], 2]
        frontal = smoothstep(place[:, 2], side - 0.005, side + 0.025) * smoothstep(
            place[:, 1], anatomy.chin - 0.03, anatomy.chin - 0.008
        )
        color = skin + frontal[:, None] * (self.face.sample(place) - skin)
        color = color * (1 - vertex_flags["ears"][:, None] * np.array([0.0, 0.07, 0.06]))
        color = self._scalp(color, place, vertex_flags["head"])
        clothed = smoothstep(vertex_flags["below_collar"] + 0.001 * coarse, 0, 0.003)[:, None]
        color = color * (1 - clothed) + self._cloth(place, fine, vertex_flags["below_collar"]) * clothed
        shine = traits.shine * (1 - clothed[:, 0])
        sharpness = np.full(len(place), 18.0)
        for name in ("eye_left", "eye_right"):
            inside = vertex_flags[name] > 0.5
            color[inside] = self._eye(place[inside], getattr(anatomy, name))
            shine[inside], sharpness[inside] = 0.4, 120
        inside = vertex_flags["mouth"] > 0.5
        color[inside] = MOUTH
        return Surface(color, shine, sharpness, np.ones(len(place)))

    def hair(self, strand: np.ndarray) -> Surface:
        """Hair at strand coordinates (P, 3): azimuth, way from crown to tip, unused."""
        azimuth, way = strand[:, 0], strand[:, 1]
        waved = azimuth + self.wave * np.sin(way * 18 + azimuth * 3)
        x, y = (waved / (2 * np.pi) + 0.5) * 1024 * round(self.strand_repeat), way * 220
        tone = sample_2d(self.strands, x, y, wrap=True)
        short = self.figure.traits.hair_style in ("buzz", "cap")
        color = self.figure.traits.hair * np.clip(1 + self.strand_contrast * tone, 0.4, 1.8)[:, None]
        # Ends are soft: single strands, so that hairline and tips do not end like a cut sheet.
        cover = smoothstep(1 - way, 0.0, 0.5 if short else 0.14)
        opacity = np.clip(1.4 * cover + 0.45 * tone * (1 - cover) * (cover > 0), 0, 1)
        return Surface(color, np.full(len(way), 0.06) * np.clip(1 + tone, 0, 2), np.full(len(way), 10.0), opacity)

    def cap(self, strand: np.ndarray) -> Surface:
        """A cap's cloth, with a band along its rim."""
        weave = field_at(self.grain, strand, 30)
        color = self.figure.traits.cloth[1] * (1 + 0.03 * weave)[:, None] * (1 - 0.25 * (strand[:, 1:2] > 0.88))
        return _plain(color)

    def brim(self, strand: np.ndarray) -> Surface:
        """A cap's brim."""
        return _plain(0.6 * self.figure.traits.cloth[1] * np.ones((len(strand), 1)))

    def glasses(self, place: np.ndarray) -> Surface:
        """A frame."""
        count = len(place)
        return Surface(np.tile(self.frame, (count, 1)), np.full(count, 0.35), np.full(count, 40.0), np.ones(count))

    def _scalp(self, color: np.ndarray, place: np.ndarray, head: np.ndarray) -> np.ndarray:
        if self.figure.traits.hair_style == "bald":
            return color
        ear = self.figure.anatomy.ear
        above = smoothstep(place[:, 1], self.figure.hairline + 0.004, self.figure.hairline + 0.02)
        behind = smoothstep(self.figure.anatomy.center[2] - place[:, 2], 0.0, 0.03) * smoothstep(
            place[:, 1], ear - 0.05, ear - 0.02
        )
        weight = 0.7 * (np.maximum(above, behind) * (head > 0.5))[:, None]
        return color * (1 - weight) + 0.8 * self.figure.traits.hair * weight

    def _cloth(self, place: np.ndarray, fine: np.ndarray, below: np.ndarray) -> np.ndarray:
        traits = self.figure.traits
        color = np.tile(traits.cloth[0], (len(place), 1))
        if traits.pattern == 1:
            color = np.where(np.sin(place[:, 1:2] * 260) > 0.2, traits.cloth[1], color)
        if traits.pattern == 2:
            color = color * (1 + 0.06 * (np.sin(place[:, :1] * 900) * np.sin(place[:, 1:2] * 900)))
        seam = np.exp(-(((below - 0.006) / 0.004) ** 2))[:, None]
        return np.clip(color * (1 + 0.02 * fine[:, None]) * (1 - 0.3 * seam), 0, 1)

    def _eye(self, place: np.ndarray, region: np.ndarray) -> np.ndarray:
        ball = self.figure.anatomy.template[region]
        out = place - (ball.min(0) + ball.max(0)) / 2
        angle = np.degrees(np.arccos(np.clip(out[:, 2] / np.maximum(np.linalg.norm(out, axis=1), 1e-9), -1, 1)))
        iris = smoothstep(angle, IRIS_ANGLE + 2, IRIS_ANGLE - 2)[:, None]
        pupil = smoothstep(angle, PUPIL_ANGLE + 1.5, PUPIL_ANGLE - 1.5)[:, None]
        ring = 1.1 - 0.5 * smoothstep(angle, IRIS_ANGLE - 8, IRIS_ANGLE)[:, None]
        color = SCLERA * (1 - iris) + self.figure.traits.iris * ring * iris
        return color * (1 - pupil) + 0.03 * pupil


def field_at(grain: np.ndarray, strand: np.ndarray, cells: float) -> np.ndarray:
    """Noise (P,) at strand coordinates (P, 3)."""
    return sample_3d(grain, strand, cells)


def _plain(color: np.ndarray) -> Surface:
    count = len(color)
    return Surface(color, np.full(count, 0.02), np.full(count, 8.0), np.ones(count))
