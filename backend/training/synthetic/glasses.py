"""Glasses: two rims, a bridge and two temples, as thin tubes."""

from __future__ import annotations

import numpy as np

from backend.people.synthesis import anatomy as places
from backend.people.synthesis.anatomy import Anatomy
from backend.people.synthesis.traits import Traits

SIDES = 8


def make_glasses(
    traits: Traits, anatomy: Anatomy, vertices: np.ndarray, landmarks: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Glasses that fit a head.

    Args:
        vertices: (V, 3) the head; landmarks: (478, 3) on it.

    Returns:
        vertices (N, 3) and faces (F, 3).
    """
    rng = traits.rng(6)
    half_width, half_height = rng.uniform(0.022, 0.027), rng.uniform(0.016, 0.022)
    roundness = rng.choice([1.0, 0.6])
    wire = rng.uniform(0.0008, 0.0018)
    front = max(landmarks[list(pair), 2].max() for pair in places.EYE_CORNERS) + 0.012
    front = max(front, landmarks[6, 2] + 0.004)
    ears = np.abs(vertices[anatomy.ears]) if anatomy.ears.any() else np.abs(vertices[anatomy.skull])
    ear_x = np.percentile(ears[:, 0], 40)
    angle = np.linspace(0, 2 * np.pi, 36, endpoint=False)
    tubes, rims = [], []
    for pair in places.EYE_CORNERS:
        middle = landmarks[list(pair)].mean(0)
        side = np.sign(middle[0])
        x = middle[0] * 1.03 + half_width * np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** roundness
        y = middle[1] - 0.002 + half_height * np.sign(np.sin(angle)) * np.abs(np.sin(angle)) ** roundness
        z = front - 0.25 * np.maximum(np.abs(x) - 0.03, 0)
        tubes.append(_tube(np.stack([x, y, z], 1), wire, closed=True))
        rims.append(np.array([middle[0] * 1.03, middle[1] + 0.004, front]))
        hinge = np.array([rims[-1][0] + side * half_width, rims[-1][1], z.min()])
        temple = [hinge, [side * max(abs(hinge[0]), ear_x), hinge[1], z.min() - 0.03],
                  [side * ear_x, anatomy.ear + 0.022, anatomy.center[2]]]  # fmt: skip
        tubes.append(_tube(np.array(temple), wire))
    bridge = [rims[0] + [-np.sign(rims[0][0]) * half_width, 0, 0], (rims[0] + rims[1]) / 2 + [0, 0.003, 0.003],
              rims[1] + [-np.sign(rims[1][0]) * half_width, 0, 0]]  # fmt: skip
    tubes.append(_tube(np.array(bridge), wire))
    offsets = np.cumsum([0] + [len(v) for v, _ in tubes[:-1]])
    return (
        np.concatenate([v for v, _ in tubes]),
        np.concatenate([f + offset for (_, f), offset in zip(tubes, offsets, strict=True)]),
    )


def _tube(path: np.ndarray, radius: float, closed: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """A tube around a path (P, 3)."""
    along = np.roll(path, -1, 0) - np.roll(path, 1, 0) if closed else np.gradient(path, axis=0)
    along = along / np.linalg.norm(along, axis=1, keepdims=True)
    across = np.cross(along, [0.31, 0.9, 0.3])
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    up = np.cross(along, across)
    turn = np.linspace(0, 2 * np.pi, SIDES, endpoint=False)
    ring = np.cos(turn)[None, :, None] * across[:, None] + np.sin(turn)[None, :, None] * up[:, None]
    points = path[:, None] + radius * ring
    rows = np.arange(len(path) if closed else len(path) - 1)
    r, k = np.meshgrid(rows, np.arange(SIDES), indexing="ij")
    a, b = r * SIDES + k, r * SIDES + (k + 1) % SIDES
    c, d = (r + 1) % len(path) * SIDES + k, (r + 1) % len(path) * SIDES + (k + 1) % SIDES
    faces = np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([b, d, c], -1).reshape(-1, 3)])
    return points.reshape(-1, 3), faces
