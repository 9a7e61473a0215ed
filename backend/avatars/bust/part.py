"""Surfaces of the bust, and how they become one rigged mesh."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backend.avatars.bust.chart import RadialChart
from backend.avatars.bust.islands import Box
from backend.avatars.bust.mouth import lip_seal, mouth_share
from backend.avatars.bust.shading import face_alphas
from backend.protocol.head_parameters import JOINTS
from backend.protocol.rigged_mesh import RiggedMesh
from backend.tracking import TrackedPortrait
from flame import HeadModel

ROOT, NECK = JOINTS.index("global"), JOINTS.index("neck")
LEAST_ALPHA = 4
"""Alpha, of 255, up to which a face shows nothing and is left out."""
STILL = 1e-5
"""Metres; a vertex that no expression moves by more is not stored."""


@dataclass(frozen=True)
class Part:
    """A surface in head space with the portrait's expression.

    Attributes:
        vertices: (n, 3) metres. faces: (F, 3). corners: (F, 3, 2) atlas pixels.
        skin_weights: (n, 5).
        cloth: whether it follows no head.
    """

    vertices: np.ndarray
    faces: np.ndarray
    corners: np.ndarray
    skin_weights: np.ndarray
    cloth: bool = False

    @classmethod
    def of_chart(
        cls, chart: RadialChart, radius: np.ndarray, box: Box, alpha: np.ndarray, head: np.ndarray, cloth: bool = False
    ) -> Part:
        """A radial surface whose part of the atlas is its chart; faces that show nothing are left out.

        Args:
            alpha: (H, W) the atlas' alpha. head: (rows, columns) in [0, 1], how far the neck's joint moves a point.
        """
        faces = chart.faces()
        rows, columns = chart.shape
        y, x = np.divmod(faces, columns)
        x, y = x / (columns - 1) * (box.width - 1), y / (rows - 1) * (box.height - 1)
        corners = np.stack([x + box.left + 0.5, y + box.top + 0.5], -1)
        _, most = face_alphas(corners.reshape(-1, 2) - 0.5, np.arange(3 * len(faces)).reshape(-1, 3), alpha)
        shown = most > LEAST_ALPHA
        return cls(
            chart.points(radius).reshape(-1, 3), faces[shown], corners[shown], joint_weights(head.ravel()), cloth
        )


def joint_weights(head: np.ndarray) -> np.ndarray:
    """Skin weights (n, 5) between the root and the neck's joint, which carries the head by `head` (n,) in [0, 1]."""
    weights = np.zeros((len(head), len(JOINTS)))
    weights[:, NECK], weights[:, ROOT] = head, 1 - head
    return weights


def join(
    tracked: TrackedPortrait, model: HeadModel, parts: list[Part], atlas: np.ndarray, confidence: np.ndarray
) -> tuple[RiggedMesh, np.ndarray]:
    """One mesh at rest of surfaces of which the first is the head model's own, and which vertices (N,) are cloth.

    Args:
        atlas: (H, W, 4) in 0..255. confidence: (H, W) in [0, 1].
    """
    starts = np.cumsum([0, *(len(p.vertices) for p in parts[:-1])])
    vertices = np.concatenate([p.vertices for p in parts])
    faces = np.concatenate([p.faces + start for p, start in zip(parts, starts, strict=True)])
    weights = np.concatenate([p.skin_weights for p in parts])
    cloth = np.repeat([p.cloth for p in parts], [len(p.vertices) for p in parts])
    head = len(parts[0].vertices)
    neutral, offsets = _at_rest(tracked, model, vertices[:head], parts[0].faces)
    vertices[:head] = neutral

    used = np.unique(faces)
    index = np.full(len(vertices), -1)
    index[used] = np.arange(len(used))
    moving = np.flatnonzero(np.abs(offsets).max((0, 2)) > STILL)
    moving = moving[index[moving] >= 0]
    height, width = confidence.shape
    corners = np.concatenate([p.corners for p in parts]).reshape(-1, 2)
    uv, uv_faces = np.unique(corners.round(3), axis=0, return_inverse=True)
    mesh = RiggedMesh(
        vertices=np.ascontiguousarray(vertices[used], np.float32),
        faces=np.ascontiguousarray(index[faces], np.int32),
        expression_vertices=index[moving].astype(np.int32),
        expression_offsets=np.ascontiguousarray(offsets[:, moving], np.float32),
        expression_names=model.expression_names,
        joints=model.rest_joints(tracked.neutral_vertices).astype(np.float32),
        parents=model.parents.astype(np.int32),
        skin_weights=np.ascontiguousarray(weights[used], np.float32),
        uv=np.stack([uv[:, 0] / width, 1 - uv[:, 1] / height], 1).astype(np.float32),
        uv_faces=np.ascontiguousarray(uv_faces.reshape(-1, 3), np.int32),
        texture=np.clip(np.rint(atlas), 0, 255).astype(np.uint8),
        confidence=np.clip(np.rint(confidence * 255), 0, 255).astype(np.uint8),
    )
    return mesh, cloth[used]


def _at_rest(
    tracked: TrackedPortrait, model: HeadModel, vertices: np.ndarray, faces: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The head (V, 3) without the portrait's expression, and its expression offsets (E, V, 3); lips close at rest."""
    offsets = np.moveaxis(model.expressiondirs, 2, 0)
    expression = np.zeros(model.num_expression)
    given = tracked.parameters.expression
    expression[: len(given)] = given
    neutral = vertices - np.einsum("e,enc->nc", expression, offsets)
    drawn = np.zeros(len(vertices), bool)
    drawn[np.unique(faces)] = True
    seal = lip_seal(model, neutral, drawn, np.array([0.0, 1, 0]))
    return neutral + seal, offsets - mouth_share(model, expression)[:, None, None] * seal
