"""A person and all views as arrays that the studio renders: the only thing that passes between the two."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np


class Scene:
    """Collects meshes, strands, images and lamps, and writes them as one .npz that `studio` reads.

    What moves is given once for each moment, not for each view.
    """

    def __init__(self) -> None:
        self.arrays: dict[str, np.ndarray] = {}
        self.description: dict = {"meshes": [], "strands": [], "lamps": [], "views": []}

    def mesh(
        self,
        name: str,
        positions: list[np.ndarray],
        faces: np.ndarray,
        materials: dict | list[dict],
        **values: np.ndarray,
    ) -> None:
        """A mesh with its vertices in each moment.

        Args:
            materials: one, or several where `part` says which each face has; each has the label of what it shows.
            values: per vertex, (n,), (n, 2) for `uv` or (n, 3); per face `part` (F,); per corner `corner_uv` (F, 3, 2).
        """
        self._add("meshes", name, positions, materials, faces=faces.astype(np.int32), **values)

    def hairs(self, name: str, positions: list[np.ndarray], radius: float, material: dict, grey: np.ndarray) -> None:
        """Strands (n, P, 3) in each moment, each with how likely it is grey (n,)."""
        self._add("strands", name, positions, material | {"radius": radius}, grey=grey)

    def image(self, name: str, pixels: np.ndarray) -> None:
        """(H, W, 3) linear, row 0 on top."""
        self.arrays[f"image/{name}"] = pixels.astype(np.float32)

    def write(self, path: Path) -> None:
        """Write the scene for the studio."""
        np.savez(path, description=np.array(json.dumps(self.description)), **self.arrays)

    def _add(
        self, kind: str, name: str, positions: list[np.ndarray], materials: dict | list[dict], **values: np.ndarray
    ) -> None:
        materials = materials if isinstance(materials, list) else [materials]
        self.description[kind].append({"name": name, "materials": materials, "values": sorted(values)})
        for k, points in enumerate(positions):
            self.arrays[f"{kind}/{name}/{k}"] = points.astype(np.float32)
        for key, value in values.items():
            self.arrays[f"{kind}/{name}/{key}"] = value if value.dtype == np.int32 else value.astype(np.float32)
