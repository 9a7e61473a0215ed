"""Eyeballs: sclera with a flat iris, and the clear cornea before it; and what is painted on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from backend.geometry.smoothstep import smoothstep
from backend.people.synthesis.dressing import eye_picture
from backend.people.synthesis.noise import field_2d, sample_2d
from backend.people.synthesis.surface import grid_faces

IRIS_RADIUS = 0.0060
"""Metres; grown eyes differ by little."""
CORNEA_BULGE = 0.0007
AROUND = 40
WHITE = 0.86
"""Of a photographed white: lids and lashes shade it more than the modelled ones do."""
TEXTURE, TEXTURE_ANGLE = 384, 1.25
"""Pixels, and the angle from the axis (radians) that the painting reaches."""


def make_eye(radius: float) -> tuple[dict, dict]:
    """Ball and cornea of an eye that looks along +z: `vertices`, `faces`, and the ball's `uv`, per vertex."""
    edge = float(np.arcsin(IRIS_RADIUS / radius))
    angles = np.concatenate([np.linspace(0, edge, 8), np.linspace(edge * 1.06, np.pi, 26)])
    height = radius * np.cos(angles)
    flat = angles <= edge + 1e-9
    height[flat] = radius * np.cos(edge) - 0.0007 * np.cos(np.pi / 2 * angles[flat] / edge)
    ball = _turned(radius * np.sin(angles), height)
    around = np.linspace(0, 2 * np.pi, AROUND + 1)
    reach = 0.5 * np.clip(angles / TEXTURE_ANGLE, 0, 1)
    ball["uv"] = np.stack(
        [0.5 + np.outer(np.cos(around), reach).ravel(), 0.5 + np.outer(np.sin(around), reach).ravel()], 1
    )
    dome = np.linspace(0, edge * 1.12, 12)
    bulge = 0.00005 + CORNEA_BULGE * smoothstep(dome, edge * 1.12, 0)
    return ball, _turned((radius + bulge) * np.sin(dome), (radius + bulge) * np.cos(dome))


def _turned(out: np.ndarray, height: np.ndarray) -> dict:
    around = np.linspace(0, 2 * np.pi, AROUND + 1)
    points = np.stack(
        [np.outer(np.cos(around), out), np.outer(np.sin(around), out), np.tile(height, (AROUND + 1, 1))], -1
    )
    return {"vertices": points.reshape(-1, 3).astype(np.float32), "faces": grid_faces(AROUND + 1, len(out))}


def paint_eye(rng: np.random.Generator, iris: np.ndarray, radius: float) -> np.ndarray:
    """(TEXTURE, TEXTURE, 3) sRGB in [0, 1] for an iris of a base colour; row 0 at v = 0."""
    place = (np.arange(TEXTURE) + 0.5) / TEXTURE * 2 - 1
    x, y = np.meshgrid(place, place)
    edge = np.arcsin(IRIS_RADIUS / radius) / TEXTURE_ANGLE
    r, a = np.hypot(x, y) / edge, np.arctan2(y, x)
    # Fibres run from the pupil outwards, a little crooked.
    fibres = field_2d(rng, (256, 32), (1.0, 3.0)) + 0.6 * field_2d(rng, (256, 32), (3.0, 6.0))
    streak = sample_2d(fibres, np.clip(r, 0, 1) * 31, (a / (2 * np.pi) % 1) * 256, wrap=True)
    pupil = rng.uniform(0.30, 0.46)
    collarette = np.exp(-(((r - pupil - 0.17) / 0.10) ** 2))
    inner = iris * np.array([1.25, 1.0, 0.7]) if rng.random() < 0.5 else iris * 1.2
    color = iris + collarette[..., None] * 0.6 * (inner - iris)
    color = color * (1.15 + 0.22 * streak[..., None])
    color = color * (1 - 0.72 * smoothstep(r, 0.80, 1.0))[..., None]
    color = color * (1 - smoothstep(r, pupil + 0.05, pupil - 0.01))[..., None]
    veins = np.clip(np.abs(field_2d(rng, (TEXTURE, TEXTURE), 5)) * -6 + 1, 0, 1) * smoothstep(r, 1.3, 2.4)
    sclera = np.array([0.88, 0.855, 0.835]) * rng.uniform(0.93, 1.0)
    sclera = sclera * (1 - rng.uniform(0.03, 0.10) * smoothstep(r, 1.2, 2.6)[..., None] * np.array([0.3, 1, 1]))
    sclera = sclera * (1 - rng.uniform(0.03, 0.10) * veins[..., None] * np.array([0.2, 1, 1]))
    outside = smoothstep(r, 0.94, 1.06)[..., None]
    return np.clip(color * (1 - outside) + sclera * outside, 0, 1).astype(np.float32)


def photographed_eye(rng: np.random.Generator, photo: Path, radius: float) -> np.ndarray:
    """(TEXTURE, TEXTURE, 3) sRGB in [0, 1] of MakeHuman's photograph, a little lighter or darker; row 0 at v = 0."""
    reach = float(np.arcsin(IRIS_RADIUS / radius) / TEXTURE_ANGLE)
    image = eye_picture(photo, TEXTURE, reach)
    place = (np.arange(TEXTURE) + 0.5) / TEXTURE * 2 - 1
    r = np.hypot(*np.meshgrid(place, place)) / reach
    shade = rng.uniform(0.45, 1.0) if "brown" in photo.name else rng.uniform(0.8, 1.1)
    return image * np.where(r < 1, shade, WHITE)[..., None]
