"""Surfaces: a finer mesh through the same vertices, rigid motions of parts, frames that things are rooted in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flame.geometry import vertex_normals


@dataclass(frozen=True, eq=False)
class Subdivision:
    """A triangle mesh with each edge halved, once for all heads of a topology.

    Attributes:
        edges: (E, 2) the halved edges; their middles follow the V old vertices.
        faces: (4 F, 3).
    """

    edges: np.ndarray
    faces: np.ndarray

    @classmethod
    def of(cls, faces: np.ndarray, count: int) -> Subdivision:
        """Halve the edges of faces (F, 3) over `count` vertices."""
        sides = np.sort(np.stack([faces, np.roll(faces, -1, 1)], -1).reshape(-1, 2), 1)
        edges, index = np.unique(sides, axis=0, return_inverse=True)
        ab, bc, ca = (count + index.reshape(-1, 3)).T
        a, b, c = faces.T
        parts = [(a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)]
        return cls(edges, np.concatenate([np.stack(part, 1) for part in parts]))

    def values(self, values: np.ndarray) -> np.ndarray:
        """Vertex values (V, ...) on the finer mesh, linear."""
        return np.concatenate([values, values[self.edges].mean(1)])

    def corners(self, values: np.ndarray) -> np.ndarray:
        """What the old faces' corners have (F, 3, C), on the finer faces (4 F, 3, C)."""
        a, b, c = values.swapaxes(0, 1)
        ab, bc, ca = (a + b) / 2, (b + c) / 2, (c + a) / 2
        parts = [(a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)]
        return np.concatenate([np.stack(part, 1) for part in parts])

    def positions(self, vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
        """Vertices (V, 3) on the finer mesh: old ones stay, middles bulge (PN triangles, Vlachos et al. 2001)."""
        normal = vertex_normals(vertices, faces)
        (a, b), (na, nb) = vertices[self.edges].swapaxes(0, 1), normal[self.edges].swapaxes(0, 1)
        along = b - a
        bulge = (along * nb).sum(1, keepdims=True) * nb - (along * na).sum(1, keepdims=True) * na
        return np.concatenate([vertices, (a + b) / 2 + bulge / 8]).astype(np.float32)


@dataclass(frozen=True)
class RigidMotion:
    """A rigid motion: points @ rotation.T + offset."""

    rotation: np.ndarray
    offset: np.ndarray

    def __call__(self, points: np.ndarray) -> np.ndarray:
        return (points @ self.rotation.T + self.offset).astype(np.float32)

    @property
    def matrix(self) -> np.ndarray:
        """(4, 4), for column vectors."""
        return np.block([[self.rotation, self.offset[:, None]], [np.zeros(3), 1.0]])


def rigid_motion(before: np.ndarray, after: np.ndarray) -> RigidMotion:
    """The motion that takes points (n, 3) nearest to others (Kabsch)."""
    b, a = before.mean(0), after.mean(0)
    U, _, Vt = np.linalg.svd((before - b).T.astype(float) @ (after - a))
    turn = Vt.T @ np.diag([1, 1, np.sign(np.linalg.det(Vt.T @ U.T))]) @ U.T
    return RigidMotion(turn, a - turn @ b)


@dataclass(frozen=True, eq=False)
class Roots:
    """Places on a triangle mesh.

    Attributes:
        triangle: (n,) indices of faces. weights: (n, 3) barycentric.
    """

    triangle: np.ndarray
    weights: np.ndarray

    def on(self, values: np.ndarray, faces: np.ndarray) -> np.ndarray:
        """Vertex values (V, C) at the roots, (n, C)."""
        return np.einsum("nk,nkc->nc", self.weights, values[faces[self.triangle]])

    def frames(self, vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
        """(n, 3, 3) orthonormal, columns: along an edge, across, the normal."""
        a, b, c = vertices[faces[self.triangle]].swapaxes(0, 1)
        normal = np.cross(b - a, c - a)
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
        along = (b - a) / np.maximum(np.linalg.norm(b - a, axis=1, keepdims=True), 1e-12)
        return np.stack([along, np.cross(normal, along), normal], -1)


def scatter(
    rng: np.random.Generator, vertices: np.ndarray, faces: np.ndarray, density: np.ndarray, count: int
) -> Roots:
    """About `count` places on a mesh, denser where the vertex density (V,) in [0, 1] is higher."""
    a, b, c = vertices[faces].swapaxes(0, 1)
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1) * density[faces].max(1)
    if area.sum() <= 0:
        return Roots(np.zeros(0, int), np.zeros((0, 3)))
    triangle = rng.choice(len(faces), count, p=area / area.sum())
    u, v = np.sqrt(rng.random(count)), rng.random(count)
    weights = np.stack([1 - u, u * (1 - v), u * v], 1)
    here = (weights * density[faces[triangle]]).sum(1) / np.maximum(density[faces[triangle]].max(1), 1e-9)
    kept = rng.random(count) < here
    return Roots(triangle[kept], weights[kept])


def nearest_roots(points: np.ndarray, vertices: np.ndarray, faces: np.ndarray, allowed: np.ndarray) -> Roots:
    """The corners' nearest places on allowed (F,) triangles, by triangle centres; enough to root short hairs."""
    from scipy.spatial import cKDTree

    index = np.flatnonzero(allowed)
    _, nearest = cKDTree(vertices[faces[index]].mean(1)).query(points)
    triangle = index[nearest]
    a, b, c = vertices[faces[triangle]].swapaxes(0, 1)
    e, f, p = b - a, c - a, points - a
    ee, ef, ff, pe, pf = ((x * y).sum(1) for x, y in ((e, e), (e, f), (f, f), (p, e), (p, f)))
    det = np.maximum(ee * ff - ef**2, 1e-18)
    v, w = (ff * pe - ef * pf) / det, (ee * pf - ef * pe) / det
    weights = np.clip(np.stack([1 - v - w, v, w], 1), 0, 1)
    return Roots(triangle, weights / weights.sum(1, keepdims=True))


def tube(
    path: np.ndarray, radius: float, sides: int = 10, beside: tuple[float, float, float] = (0.11, 0.31, 0.94)
) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and faces of a tube around a path (P, 3) that nowhere runs along `beside`."""
    along = np.gradient(path, axis=0)
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
    across = np.cross(along, beside)
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    up = np.cross(along, across)
    turn = np.linspace(0, 2 * np.pi, sides + 1)
    ring = np.cos(turn)[None, :, None] * across[:, None] + np.sin(turn)[None, :, None] * up[:, None]
    return (path[:, None] + radius * ring).reshape(-1, 3).astype(np.float32), grid_faces(len(path), sides + 1)


def grid_faces(rows: int, columns: int) -> np.ndarray:
    """Triangles (F, 3) of a grid of points, row by row."""
    index = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = index[:-1, :-1], index[1:, :-1], index[:-1, 1:], index[1:, 1:]
    return np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([b, d, c], -1).reshape(-1, 3)])
