"""Soft light from all around with a few lamps, and the shadows that a figure casts on itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backend.rasterizer import rasterize

DIRECTIONS = 24
SHADOW_SIZE = 220
SHADOW_SCALE = 340.0
"""Pixels per metre of a shadow map."""
SHADOW_BIAS = 0.006
WRAP = 0.15
"""How far light reaches around a surface's edge: a stand-in for skin's own scattering."""


@dataclass(frozen=True)
class Light:
    """Light from discrete directions in head space.

    Attributes:
        directions: (D, 3) unit vectors towards the light.
        radiance: (D, 3) linear RGB.
    """

    directions: np.ndarray
    radiance: np.ndarray

    @property
    def key(self) -> np.ndarray:
        """(3,) the direction of the brightest light, for highlights."""
        return self.directions[np.argmax(self.radiance.sum(1))]

    def turned(self, rotation: np.ndarray) -> Light:
        """The same light turned by a rotation (3, 3)."""
        return Light(self.directions @ rotation.T, self.radiance)


def draw_light(rng: np.random.Generator) -> Light:
    """An overcast sky or room, and one to three lamps in front of the head."""
    i = np.arange(DIRECTIONS) + 0.5
    height = 1 - 2 * i / DIRECTIONS
    turn = np.pi * (1 + 5**0.5) * i
    out = np.sqrt(1 - height**2)
    directions = np.stack([np.cos(turn) * out, height, np.sin(turn) * out], 1)
    tint = 1 + 0.04 * rng.normal(size=3)
    radiance = rng.uniform(0.3, 0.6) * tint * (1 + rng.uniform(0, 0.6) * directions[:, 1:2])
    for _ in range(rng.integers(1, 4)):
        lamp = rng.normal(size=3) * [0.8, 0.3, 0.2] + [0, 0.5, 0.9]
        lamp /= np.linalg.norm(lamp)
        lobe = np.exp((directions @ lamp - 1) * rng.uniform(3, 9))
        radiance = radiance + rng.uniform(0.4, 1.6) * lobe[:, None] * (1 + 0.05 * rng.normal(size=3))
    return Light(directions, np.maximum(radiance, 0))


def irradiance(
    light: Light, vertices: np.ndarray, normals: np.ndarray, faces: np.ndarray, two_sided: np.ndarray
) -> np.ndarray:
    """Light that reaches each vertex.

    Args:
        vertices, normals: (N, 3); faces: (F, 3).
        two_sided: (N,) bool, lit from either side alike (hair, thin things).

    Returns:
        (N, 3) linear.
    """
    middle = (vertices.min(0) + vertices.max(0)) / 2
    total = np.zeros((len(vertices), 3))
    for direction, radiance in zip(light.directions, light.radiance, strict=True):
        across = np.cross(direction, [0, 1.0, 0] if abs(direction[1]) < 0.9 else [1.0, 0, 0])
        across /= np.linalg.norm(across)
        up = np.cross(direction, across)
        local = vertices - middle
        half = SHADOW_SIZE / 2
        # Far away, so that the perspective depth test is as good as an orthographic one.
        depth = 50 - local @ direction
        screen = np.stack([local @ across * SHADOW_SCALE + half, local @ up * SHADOW_SCALE + half, depth], 1)
        nearest = rasterize(screen, faces, SHADOW_SIZE, SHADOW_SIZE).depth
        column, row = np.clip(screen[:, :2].astype(int), 0, SHADOW_SIZE - 1).T
        lit = np.clip(1 - (depth - nearest[row, column] - SHADOW_BIAS) / SHADOW_BIAS, 0, 1)
        facing = normals @ direction
        facing = np.where(two_sided, np.abs(facing) * 0.6 + 0.3, np.clip((facing + WRAP) / (1 + WRAP), 0, 1))
        total += (lit * facing)[:, None] * radiance
    # Light bounces: nothing is quite black.
    return total / DIRECTIONS * 4 + 0.06 * light.radiance.mean(0)
