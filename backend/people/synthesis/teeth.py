"""Teeth in their gums, as rounded blocks along two arches."""

from __future__ import annotations

import numpy as np

from backend.people.synthesis.surface import grid_faces, tube

UPPER = ((8.4, 10.0), (6.6, 9.0), (7.6, 9.8), (7.0, 8.4), (6.8, 7.8), (9.6, 7.2), (9.2, 7.0))
LOWER = ((5.3, 8.6), (5.9, 8.8), (6.8, 9.6), (7.0, 8.4), (7.1, 7.8), (10.4, 7.4), (9.8, 7.2))
"""Width and height of each side's teeth from the middle backwards, millimetres (textbook means)."""
THICK = 0.0055


def make_arch(rng: np.random.Generator, edge: np.ndarray, half_width: float, upper: bool) -> dict[str, dict]:
    """Teeth and gum, each `vertices` and `faces`.

    Args:
        edge: (3,) the middle of the front teeth's cutting edges.
        half_width: metres at the last teeth.
    """
    sizes = np.array(UPPER if upper else LOWER) / 1000
    scale = half_width / 0.027
    up = 1.0 if upper else -1.0
    bend = np.linspace(0, 1, 200)
    # An arch: half an ellipse, flattened in front.
    x, z = half_width * np.sin(bend * np.pi / 2) ** 0.9, -0.040 * scale * (1 - np.cos(bend * np.pi / 2)) ** 0.9
    length = np.concatenate([[0], np.cumsum(np.hypot(np.diff(x), np.diff(z)))])
    blocks, place = [], 0.0
    for width, height in sizes * [scale, 1.0]:
        middle, place = place + width / 2, place + width
        if middle > length[-1]:
            break
        px, pz = np.interp(middle, length, x), np.interp(middle, length, z)
        ahead = np.interp(middle + 1e-4, length, z) - pz, np.interp(middle + 1e-4, length, x) - px
        turn = np.arctan2(-ahead[0], ahead[1])
        for side in (-1, 1):
            size = np.array([width * 0.53, height / 2, THICK / 2]) * rng.uniform(0.97, 1.03, 3)
            block = _block() * size
            block[:, 1] += up * (height / 2) * rng.uniform(0.96, 1.04)
            angle = side * turn + rng.normal(0, 0.03)
            c, s = np.cos(angle), np.sin(angle)
            block = block @ np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]])
            blocks.append(block + (edge + np.array([side * px, 0, pz])))
    faces = grid_faces(17, 11)
    teeth = np.concatenate(blocks)
    gum_path = np.concatenate([np.stack([-x, 0 * x, z], 1)[:0:-4], np.stack([x, 0 * x, z], 1)[::4]])
    gum = gum_path + edge + [0, up * 0.0105, -0.0030]
    return {
        "teeth": {
            "vertices": teeth.astype(np.float32),
            "faces": np.concatenate([faces + k * 17 * 11 for k in range(len(blocks))]),
        },
        "gum": dict(zip(("vertices", "faces"), tube(gum, 0.0036, beside=(0.0, 1.0, 0.0)), strict=True)),
    }


def _block() -> np.ndarray:
    """(17 * 11, 3) a superellipsoid in [-1, 1]^3."""
    around, down = np.linspace(0, 2 * np.pi, 17), np.linspace(-np.pi / 2, np.pi / 2, 11)
    a, d = np.meshgrid(around, down, indexing="ij")

    def power(value: np.ndarray, exponent: float) -> np.ndarray:
        return np.sign(value) * np.abs(value) ** exponent

    shape = [
        power(np.cos(d), 0.4) * power(np.cos(a), 0.5),
        power(np.sin(d), 0.5),
        power(np.cos(d), 0.4) * power(np.sin(a), 0.6),
    ]
    return np.stack(shape, -1).reshape(-1, 3)
