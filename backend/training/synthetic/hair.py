"""Hair and caps: shells over the skull, from the crown down, with strands drawn along them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

from backend.people.synthesis.anatomy import Anatomy
from backend.people.synthesis.noise import field_2d, smoothstep
from backend.people.synthesis.surface import grid_faces
from backend.people.synthesis.traits import Traits

AROUND, DOWN = 160, 72
"""Points of a shell around the head and from crown to tip."""


@dataclass(frozen=True)
class Shell:
    """A surface over the skull.

    Attributes:
        vertices: (AROUND * DOWN, 3), metres, in the head's own space.
        faces: (F, 3).
        strand: (AROUND * DOWN, 2), the azimuth in radians (0 in front) and the way from crown (0) to tip (1).
    """

    vertices: np.ndarray
    faces: np.ndarray
    strand: np.ndarray


@dataclass(frozen=True)
class _Cut:
    """A hair cut: heights (y) where it ends in front, at the sides and behind, and how it stands off, in metres.

    It lies on the skull down to the elevation `cling` (radians) and hangs from there.
    """

    front: float
    side: float
    back: float
    thickness: float
    temple: float = 0.6
    ragged: float = 0.003
    lumps: float = 0.25
    flare: float = 0.0
    cling: float = -0.15


def hairline(traits: Traits, anatomy: Anatomy) -> float:
    """Height (y) of the hairline above the face."""
    return anatomy.brow + traits.rng(2).uniform(0.042, 0.066)


def grow_hair(traits: Traits, anatomy: Anatomy, vertices: np.ndarray) -> Shell | None:
    """The hair of a person over a head (V, 3); None for the bald ones."""
    cut = _cut(traits, anatomy)
    return None if cut is None else _shell(traits.rng(3), anatomy, vertices, cut)


def put_on_cap(traits: Traits, anatomy: Anatomy, vertices: np.ndarray) -> list[Shell]:
    """A cap's crown, and its brim."""
    rng = traits.rng(4)
    rim = anatomy.brow + rng.uniform(0.028, 0.045)
    crown = _shell(rng, anatomy, vertices, _Cut(rim, rim - 0.004, rim - 0.02, rng.uniform(0.012, 0.02), 0.3, 0, 0.1))
    return [crown, _brim(rng, crown)]


def _cut(traits: Traits, anatomy: Anatomy) -> _Cut | None:
    rng = traits.rng(5)
    front, ear = hairline(traits, anatomy), anatomy.ear
    temple = rng.uniform(0.5, 0.75)
    if traits.hair_style == "bald":
        return None
    if traits.hair_style in ("buzz", "cap"):
        return _Cut(front, ear + rng.uniform(0.0, 0.02), ear - 0.03, 0.004, temple, 0.0015, 0.05, cling=-0.5)
    if traits.hair_style == "short":
        back, thickness = ear - rng.uniform(0.015, 0.04), rng.uniform(0.010, 0.022)
        return _Cut(front, ear + rng.uniform(-0.01, 0.02), back, thickness, temple, 0.002, cling=-0.5)
    fringe = anatomy.brow + rng.uniform(0.008, 0.03) if rng.random() < 0.3 else front
    if traits.hair_style == "medium":
        side, back = ear - rng.uniform(0.03, 0.08), ear - rng.uniform(0.06, 0.10)
        return _Cut(fringe, side, back, rng.uniform(0.016, 0.028), temple, 0.006, 0.3, rng.uniform(0, 0.25))
    side, back = ear - rng.uniform(0.10, 0.22), ear - rng.uniform(0.16, 0.26)
    return _Cut(fringe, side, back, rng.uniform(0.014, 0.026), temple, 0.010, 0.3, rng.uniform(0, 0.3))


def _skull_radius(anatomy: Anatomy, vertices: np.ndarray, azimuth: np.ndarray, elevation: np.ndarray) -> np.ndarray:
    """Distance (AROUND, E) from the skull's middle to its surface."""
    rays = vertices[anatomy.skull] - anatomy.center
    lengths = np.linalg.norm(rays, axis=1)
    a, e = np.meshgrid(azimuth, elevation, indexing="ij")
    directions = np.stack([np.sin(a) * np.cos(e), np.sin(e), np.cos(a) * np.cos(e)], -1)
    _, nearest = cKDTree(rays / lengths[:, None]).query(directions.reshape(-1, 3), k=5)
    return gaussian_filter(lengths[nearest].mean(1).reshape(a.shape), (2, 2), mode=("wrap", "nearest"))


def _ends(rng: np.random.Generator, azimuth: np.ndarray, cut: _Cut) -> np.ndarray:
    """Height (AROUND,) where the hair ends."""
    side = smoothstep(np.abs(azimuth), cut.temple, cut.temple + 0.45)
    back = smoothstep(np.abs(azimuth), 1.9, 2.5)
    ends = (cut.front * (1 - side) + cut.side * side) * (1 - back) + cut.back * back
    # A hairline is lower at the middle of the forehead's sides than over the temples.
    ends = ends + 0.006 * np.exp(-(((np.abs(azimuth) - cut.temple) / 0.15) ** 2))
    fray = field_2d(rng, (1, AROUND), (0, 1.2))[0] + field_2d(rng, (1, AROUND), (0, 6))[0]
    ends = ends + cut.ragged * fray * (0.3 + 0.7 * side)
    ends[-1] = ends[0]
    return ends


def _shell(rng: np.random.Generator, anatomy: Anatomy, vertices: np.ndarray, cut: _Cut) -> Shell:
    azimuth = np.linspace(-np.pi, np.pi, AROUND)
    elevation = np.linspace(np.pi / 2, cut.cling, 120)
    radius = _skull_radius(anatomy, vertices, azimuth, elevation)
    ends = _ends(rng, azimuth, cut)
    lumps = 1 + cut.lumps * field_2d(rng, (AROUND, DOWN), (9, 9))
    lumps[-1] = lumps[0]
    way = np.linspace(0, 1, DOWN)
    # All profiles meet at the crown: there they must agree.
    lumps = 1 + (lumps - 1) * smoothstep(way, 0.02, 0.25)
    points = np.zeros((AROUND, DOWN, 3))
    for i, angle in enumerate(azimuth):
        out, height = radius[i] * np.cos(elevation), anatomy.center[1] + radius[i] * np.sin(elevation)
        out, height = _lengthen(out, height, ends[i], cut.flare)
        arc = np.concatenate([[0], np.cumsum(np.hypot(np.diff(out), np.diff(height)))])
        out, height = np.interp(way * arc[-1], arc, out), np.interp(way * arc[-1], arc, height)
        # Full at the crown and behind, thin at the hairline, so that it meets the skin.
        thick = cut.thickness * lumps[i] * (1 - 0.85 * smoothstep(way, 0.55, 1.0)) + 0.003
        slope = np.clip((height - anatomy.center[1]) / 0.1, 0, 1)
        out = out + thick * np.sqrt(1 - 0.98 * slope**2)
        points[i] = np.stack([np.sin(angle) * out, height + thick * slope, np.cos(angle) * out], 1)
    points[..., 0] += anatomy.center[0]
    points[..., 2] += anatomy.center[2]
    strand = np.stack(np.meshgrid(azimuth, way, indexing="ij"), -1)
    return Shell(points.reshape(-1, 3), grid_faces(AROUND, DOWN), strand.reshape(-1, 2))


def _lengthen(out: np.ndarray, height: np.ndarray, end: float, flare: float) -> tuple[np.ndarray, np.ndarray]:
    """Cut a profile at a height, or let it hang down to there."""
    if end >= height[-1]:
        last = max(4, int(np.searchsorted(-height, -end)))
        return out[:last], height[:last]
    hang = np.linspace(height[-1], end, 60)[1:]
    return (
        np.concatenate([out, out[-1] * (1 + flare * (height[-1] - hang) / 0.2)]),
        np.concatenate([height, hang]),
    )


def _brim(rng: np.random.Generator, crown: Shell) -> Shell:
    rim = crown.vertices.reshape(AROUND, DOWN, 3)[:, -1]
    front = np.abs(np.linspace(-np.pi, np.pi, AROUND)) < 0.95
    inner = rim[front]
    azimuth = np.linspace(-1, 1, len(inner))
    reach = rng.uniform(0.045, 0.065) * np.sqrt(np.clip(1 - azimuth**2, 0, 1))
    steps = np.linspace(0, 1, 8)
    forward = np.stack([0 * reach, -0.35 * reach, reach], 1)
    points = inner[:, None] + steps[None, :, None] * forward[:, None]
    strand = np.stack(np.meshgrid(azimuth, steps, indexing="ij"), -1)
    return Shell(points.reshape(-1, 3), grid_faces(len(inner), 8), strand.reshape(-1, 2))
