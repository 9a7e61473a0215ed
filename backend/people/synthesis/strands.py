"""Strands: a few guides grown over the head, many strands between them, clumps, curls and frizz."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from backend.geometry.smoothstep import smoothstep


@dataclass(frozen=True)
class Growth:
    """How guides grow.

    Attributes:
        lift: in [0, 1], how steeply they leave the skin: 1 is along the normal.
        weight: how fast they bend down, 1/m.
        combing: how fast they turn into the flow, 1/m.
        standoff: metres that they keep off the skin, at most; each guide has its own share of it.
    """

    lift: float
    weight: float
    combing: float
    standoff: float


class Obstacle:
    """The body that hair lies on: vertices (V, 3) with normals."""

    def __init__(self, vertices: np.ndarray, normals: np.ndarray) -> None:
        self.vertices, self.normals = vertices, normals
        self._tree = cKDTree(vertices)

    def push_out(self, points: np.ndarray, distance: np.ndarray) -> np.ndarray:
        """Points (n, 3) at least `distance` (n,) off the surface."""
        gap, nearest = self._tree.query(points, k=3)
        weight = 1 / (gap + 1e-3)
        weight /= weight.sum(1, keepdims=True)
        normal = (self.normals[nearest] * weight[..., None]).sum(1)
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
        height = ((points[:, None] - self.vertices[nearest]) * self.normals[nearest]).sum(2)
        height = (height * weight).sum(1)
        return points + np.maximum(distance - height, 0)[:, None] * normal

    def along(self, points: np.ndarray, directions: np.ndarray) -> np.ndarray:
        """Directions (n, 3) without their part along the nearest normal."""
        normal = self.normals[self._tree.query(points)[1]]
        return directions - (directions * normal).sum(1, keepdims=True) * normal


def grow(
    rng: np.random.Generator,
    roots: np.ndarray,
    normals: np.ndarray,
    lengths: np.ndarray,
    growth: Growth,
    flow: Callable[[np.ndarray, float], np.ndarray],
    obstacle: Obstacle,
    points: int,
) -> np.ndarray:
    """Guides (n, points, 3).

    Args:
        roots, normals: (n, 3); lengths: (n,) metres.
        flow: where hair is combed to at places (n, 3) and a share of the length in [0, 1], (n, 3).
    """
    steps = lengths / (points - 1)
    comb = _unit(obstacle.along(roots, flow(roots, 0.0)))
    heading = _unit(growth.lift * normals + (1 - growth.lift) * comb + rng.normal(0, 0.06, roots.shape))
    layer = growth.standoff * rng.uniform(0.1, 1.0, len(roots)) ** 0.7
    path = [roots]
    for k in range(1, points):
        t = k / (points - 1)
        heading = _unit(heading + steps[:, None] * growth.combing * flow(path[-1], t))
        heading = _unit(heading + steps[:, None] * growth.weight * np.array([0, -1.0, 0]))
        there = path[-1] + steps[:, None] * heading
        # Off the skin by little at the root, by the layer farther on.
        there = obstacle.push_out(there, 0.0006 + layer * smoothstep(np.full(len(roots), t), 0, 0.35))
        heading = _unit(0.5 * heading + 0.5 * _unit(there - path[-1]))
        path.append(path[-1] + steps[:, None] * _unit(there - path[-1]))
    return np.stack(path, 1)


def between(
    rng: np.random.Generator,
    guides: np.ndarray,
    roots: np.ndarray,
    side: Callable[[np.ndarray], np.ndarray] | None = None,
    jitter: float = 0.12,
) -> np.ndarray:
    """Strands (n, P, 3) from roots (n, 3), shaped as the guides about them; `side` (n,) parts those that never mix."""

    def place(points: np.ndarray) -> np.ndarray:
        return points if side is None else np.concatenate([points, 0.5 * side(points)[:, None]], 1)

    distance, near = cKDTree(place(guides[:, 0])).query(place(roots), k=3)
    weight = 1 / (distance + 1e-3) ** 2
    weight /= weight.sum(1, keepdims=True)
    shapes = guides - guides[:, :1]
    strands = np.einsum("nk,nkpc->npc", weight, shapes[near])
    length = rng.uniform(1 - 2 * jitter, 1 + jitter, len(roots))
    return roots[:, None] + strands * length[:, None, None]


def clump(rng: np.random.Generator, strands: np.ndarray, count: int, strength: float) -> np.ndarray:
    """Strands drawn towards `count` of their own, more so at the tips."""
    if not count or len(strands) <= count:
        return strands
    leaders = rng.choice(len(strands), count, replace=False)
    middle = strands[:, strands.shape[1] // 3]
    _, nearest = cKDTree(middle[leaders]).query(middle)
    leader = strands[leaders[nearest]]
    t = np.linspace(0, 1, strands.shape[1])[None, :, None]
    pull = strength * rng.uniform(0.5, 1.0, (len(strands), 1, 1)) * t**1.3
    return strands + pull * (leader - leader[:, :1] + 0.15 * (strands[:, :1] - leader[:, :1]) + leader[:, :1] - strands)


def curl(
    rng: np.random.Generator, strands: np.ndarray, radius: float, period: float, groups: int, onset: float = 0.15
) -> np.ndarray:
    """Strands wound about their own way; those of a group (by place) wind together."""
    if radius <= 0:
        return strands
    count, points = strands.shape[:2]
    leaders = strands[rng.choice(count, min(groups, count), replace=False), 0]
    _, group = cKDTree(leaders).query(strands[:, 0])
    start = rng.uniform(0, 2 * np.pi, len(leaders))[group] + rng.normal(0, 0.35, count)
    pitch = period * rng.uniform(0.75, 1.3, len(leaders))[group]
    size = radius * rng.uniform(0.6, 1.25, len(leaders))[group]
    along = np.gradient(strands, axis=1)
    way = np.cumsum(np.linalg.norm(along, axis=2), 1)
    along = _unit(along)
    across = _unit(np.cross(along, [0.36, 0.48, 0.80]))
    other = np.cross(along, across)
    angle = start[:, None] + 2 * np.pi * way / pitch[:, None]
    grown = size[:, None] * smoothstep(np.linspace(0, 1, points), 0, onset)[None]
    return strands + (grown * np.cos(angle))[..., None] * across + (grown * np.sin(angle))[..., None] * other


def frizz(rng: np.random.Generator, strands: np.ndarray, amount: float) -> np.ndarray:
    """Strands each a little astray, in metres at the tip."""
    count, points = strands.shape[:2]
    knots = np.cumsum(rng.normal(0, 1, (count, 5, 3)), 1)
    t = np.linspace(0, 4, points)
    low = np.minimum(t.astype(int), 3)
    drift = knots[:, low] + (t - low)[None, :, None] * (knots[:, low + 1] - knots[:, low])
    return strands + amount * np.linspace(0, 1, points)[None, :, None] * (drift - drift[:, :1]) / 2


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)
