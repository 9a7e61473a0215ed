"""Meshes that fit the base mesh (.mhclo and .obj): each vertex is placed by three of the base mesh's.

The format is MakeHuman's (makehuman/shared/proxy.py): three vertices' numbers, their weights, and an offset in
decimetres that is scaled along each axis by the distance of two vertices over what it was when the mesh was made.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from backend.people.makehuman.materials import read_lines

BASE_VERTICES = 19158
"""Of MakeHuman's base mesh hm08, helpers included."""
MOST_VERTICES = 200_000
SCALES = ("x_scale", "y_scale", "z_scale")


@dataclass(frozen=True, eq=False)
class FittedMesh:
    """A mesh over the base mesh; n vertices, F triangles, T texture coordinates.

    Attributes:
        name: of the file. tags: in small letters.
        corners: (n, 3) the base mesh's vertices that each is placed by. weights: (n, 3). offsets: (n, 3).
        scales: per axis two of the base mesh's vertices and the distance that the offsets were made for.
        faces: (F, 3). uv: (T, 2). uv_faces: (F, 3).
        hides: (k,) the base mesh's vertices that it covers.
    """

    name: str
    tags: frozenset[str]
    corners: np.ndarray
    weights: np.ndarray
    offsets: np.ndarray
    scales: tuple[tuple[int, int, float], ...]
    faces: np.ndarray
    uv: np.ndarray
    uv_faces: np.ndarray
    hides: np.ndarray = field(default_factory=lambda: np.zeros(0, int))

    def fit(self, base: np.ndarray) -> np.ndarray:
        """The vertices (n, 3) over a base mesh (19158, 3), in any unit, x to the person's left and y up."""
        scale = [abs(base[a, axis] - base[b, axis]) / distance for axis, (a, b, distance) in enumerate(self.scales)]
        return np.einsum("nk,nkc->nc", self.weights, base[self.corners]) + self.offsets * scale

    def part(self, kept: np.ndarray) -> FittedMesh:
        """The faces (F,) bool that are kept, with the vertices and texture coordinates that they use."""
        used, faces = np.unique(self.faces[kept], return_inverse=True)
        used_uv, uv_faces = np.unique(self.uv_faces[kept], return_inverse=True)
        return FittedMesh(
            self.name, self.tags, self.corners[used], self.weights[used], self.offsets[used], self.scales,
            faces.reshape(-1, 3), self.uv[used_uv], uv_faces.reshape(-1, 3), self.hides,
        )  # fmt: skip


def read_fitted_mesh(path: Path) -> FittedMesh:
    """Read a .mhclo file and the .obj that it names.

    Raises:
        ValueError: it is damaged or refers to vertices that the base mesh does not have. OSError.
    """
    tags, scales, rows, hides, obj, section = set(), {}, [], [], None, ""
    for line in read_lines(path):
        words = line.split()
        key = words[0]
        if key in ("verts", "delete_verts"):
            section = key
        elif section == "verts" and key.isdigit():
            rows.append(_row(words, path))
        elif section == "delete_verts" and key.isdigit():
            hides += _ranges(words)
        elif key == "tag":
            tags.add(" ".join(words[1:]).lower())
        elif key in SCALES:
            scales[key] = (int(words[1]), int(words[2]), float(words[3]))
        elif key == "obj_file":
            obj = path.parent / words[1]
    if obj is None or set(scales) != set(SCALES) or not 0 < len(rows) <= MOST_VERTICES:
        raise ValueError(f"{path}: it lacks its .obj, a scale or its vertices")
    table = np.array(rows)
    corners = table[:, :3].astype(int)
    faces, uv, uv_faces, count = _read_obj(obj)
    numbers = [corners.ravel(), np.array([s[:2] for s in scales.values()]).ravel(), np.array(hides, int)]
    if np.concatenate(numbers).max() >= BASE_VERTICES or count != len(rows):
        raise ValueError(f"{path}: it does not fit the base mesh hm08 or {obj.name}")
    return FittedMesh(path.stem, frozenset(tags), corners, table[:, 3:6], table[:, 6:9],
                      tuple(scales[key] for key in SCALES), faces, uv, uv_faces, np.array(hides, int))  # fmt: skip


def _row(words: list[str], path: Path) -> list[float]:
    if len(words) == 1:
        return [float(words[0])] * 3 + [1.0, 0, 0, 0, 0, 0]
    if len(words) != 9:
        raise ValueError(f"{path}: a vertex with {len(words)} numbers in place of 1 or 9")
    return [float(word) for word in words]


def _ranges(words: list[str]) -> list[int]:
    """Numbers and "first - last" ranges."""
    numbers: list[int] = []
    ahead = iter(words)
    for word in ahead:
        if word == "-":
            last = int(next(ahead))
            if not numbers or last >= BASE_VERTICES:
                raise ValueError(f"a range of vertices ends at {last}")
            numbers += range(numbers[-1] + 1, last + 1)
        else:
            numbers.append(int(word))
    return numbers


def _read_obj(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Triangles (F, 3), texture coordinates (T, 2), the triangles' (F, 3), and how many vertices there are."""
    count, uv, faces, uv_faces = 0, [], [], []
    for line in read_lines(path):
        key, *words = line.split()
        if key == "v":
            count += 1
        elif key == "vt":
            uv.append([float(words[0]), float(words[1])])
        elif key == "f":
            corners = [[int(number) - 1 for number in word.split("/")[:2]] for word in words]
            for k in range(1, len(corners) - 1):
                triangle = corners[0], corners[k], corners[k + 1]
                faces.append([corner[0] for corner in triangle])
                uv_faces.append([corner[1] for corner in triangle])
    if not faces or not uv:
        raise ValueError(f"{path}: no faces, or no texture coordinates")
    triangles, uv_triangles = np.array(faces), np.array(uv_faces)
    if triangles.min() < 0 or triangles.max() >= count or uv_triangles.min() < 0 or uv_triangles.max() >= len(uv):
        raise ValueError(f"{path}: a face has vertices that do not exist")
    return triangles, np.array(uv, np.float32), uv_triangles, count
