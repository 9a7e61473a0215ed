"""Cut a mesh along planes, so that every mesh of the same topology is cut alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp


@dataclass(frozen=True)
class MeshCrop:
    """A cut mesh, as a linear function of the whole one.

    Attributes:
        vertices_from: (V, N) sparse, rows sum to 1: kept vertices, and new ones on the cut edges.
        uv_from: (T, T0) sparse, the same for texture coordinates.
        faces, uv_faces: (F, 3) int32.
        source_face: (F,) the face that each was cut from.
    """

    vertices_from: sp.csr_matrix
    uv_from: sp.csr_matrix
    faces: np.ndarray
    uv_faces: np.ndarray
    source_face: np.ndarray


class _Points:
    """Points along edges of the input, each made once, with their mixing weights."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.rows: list[dict[int, float]] = [{i: 1.0} for i in range(count)]
        self.cuts: dict[tuple[int, int], int] = {}

    def cut(self, a: int, b: int, t: float) -> int:
        key = (min(a, b), max(a, b))
        if key not in self.cuts:
            row: dict[int, float] = {}
            for source, share in ((a, 1 - t), (b, t)):
                for i, weight in self.rows[source].items():
                    row[i] = row.get(i, 0.0) + share * weight
            self.cuts[key] = len(self.rows)
            self.rows.append(row)
        return self.cuts[key]

    def matrix(self, used: np.ndarray) -> sp.csr_matrix:
        entries = [(r, c, w) for r, i in enumerate(used) for c, w in self.rows[i].items()]
        r, c, w = zip(*entries, strict=True)
        return sp.csr_matrix((w, (r, c)), (len(used), self.count))


def crop_mesh(
    vertices: np.ndarray,
    faces: np.ndarray,
    uv_count: int,
    uv_faces: np.ndarray,
    planes: list[tuple[np.ndarray, float]],
) -> MeshCrop:
    """Keep what lies on the positive side of every plane (Sutherland and Hodgman, per triangle).

    Args:
        vertices: (N, 3).
        faces, uv_faces: (F, 3).
        uv_count: number of texture coordinates.
        planes: pairs (normal (3,), offset): kept where normal . x >= offset.
    """
    points, uvs = _Points(len(vertices)), _Points(uv_count)
    position = {i: v for i, v in enumerate(np.asarray(vertices, float))}
    # A corner is (vertex, texture coordinate); a polygon is a list of corners.
    polygons = [
        (list(zip(f, t, strict=True)), source)
        for source, (f, t) in enumerate(zip(faces.tolist(), uv_faces.tolist(), strict=True))
    ]
    for normal, offset in planes:
        points.cuts.clear()
        uvs.cuts.clear()
        side = {i: float(normal @ p) - offset for i, p in position.items()}
        kept = []
        for polygon, source in polygons:
            if all(side[v] >= 0 for v, _ in polygon):
                kept.append((polygon, source))
                continue
            clipped = []
            for (a, uv_a), (b, uv_b) in zip(polygon, polygon[1:] + polygon[:1], strict=True):
                if side[a] >= 0:
                    clipped.append((a, uv_a))
                if (side[a] >= 0) != (side[b] >= 0):
                    # Always from the smaller index, so that both faces of an edge cut it at the same place.
                    (p, uv_p), (q, uv_q) = sorted([(a, uv_a), (b, uv_b)])
                    t = side[p] / (side[p] - side[q])
                    new = points.cut(p, q, t)
                    position.setdefault(new, (1 - t) * position[p] + t * position[q])
                    clipped.append((new, uvs.cut(uv_p, uv_q, t)))
            if len(clipped) >= 3:
                kept.append((clipped, source))
        polygons = kept
    corners = [((p[0], p[i], p[i + 1]), s) for p, s in polygons for i in range(1, len(p) - 1)]
    new_faces = np.array([[c[0] for c in tri] for tri, _ in corners])
    new_uv_faces = np.array([[c[1] for c in tri] for tri, _ in corners])
    used, compact_faces = np.unique(new_faces, return_inverse=True)
    used_uv, compact_uv = np.unique(new_uv_faces, return_inverse=True)
    return MeshCrop(
        points.matrix(used),
        uvs.matrix(used_uv),
        compact_faces.reshape(-1, 3).astype(np.int32),
        compact_uv.reshape(-1, 3).astype(np.int32),
        np.array([s for _, s in corners]),
    )
