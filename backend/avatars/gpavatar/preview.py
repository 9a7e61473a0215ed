"""The head model with the portrait projected onto it: what a host draws while it waits for the network's views."""

from __future__ import annotations

import numpy as np

from backend.protocol.rigged_mesh import RiggedMesh
from backend.tracking import TrackedPortrait
from flame import HeadModel
from flame.geometry import vertex_normals

STILL = 1e-5
"""Metres; a vertex that no expression moves by more is not stored."""
IN_MATTE = 0.5
PATCH = 16
"""Columns of the texture that are plain skin."""


def preview_mesh(tracked: TrackedPortrait, model: HeadModel) -> RiggedMesh:
    """The fitted head model as a rigged mesh: the photo where it faced the photo's camera, else plain skin."""
    vertices = tracked.neutral_vertices.astype(np.float32)
    camera, size = tracked.camera, tracked.camera.width
    towards = camera.center - tracked.vertices
    towards /= np.linalg.norm(towards, axis=1, keepdims=True)
    facing = (vertex_normals(tracked.vertices, model.faces) * towards).sum(1)
    pixels = camera.project(tracked.vertices)
    column, row = np.clip(pixels, 0, size - 1).astype(int).T
    inside = ((pixels > 0) & (pixels < size)).all(1) & (tracked.matte[row, column] > IN_MATTE)
    seen = inside & (facing > 0)
    skin = np.median(tracked.image[row, column][seen & (facing > 0.5)], axis=0) if seen.any() else np.full(3, 128)
    basis = np.moveaxis(model.expressiondirs, 2, 0)
    moving = np.flatnonzero(np.abs(basis).max((0, 2)) > STILL)
    # Beside the photo lies a patch of skin, for what the photo did not see.
    texture = np.full((size, size + PATCH, 4), 255, np.uint8)
    texture[:, :size, :3], texture[:, size:, :3] = tracked.image, skin
    places = np.concatenate([pixels, [[size + PATCH / 2, size / 2]]])
    uv = np.stack([places[:, 0], size - places[:, 1]], 1) / [size + PATCH, size]
    faces = model.faces.astype(np.int32)
    return RiggedMesh(
        vertices=vertices,
        faces=faces,
        expression_vertices=moving.astype(np.int32),
        expression_offsets=np.ascontiguousarray(basis[:, moving], np.float32),
        expression_names=model.expression_names,
        joints=model.rest_joints(vertices).astype(np.float32),
        parents=model.parents.astype(np.int32),
        skin_weights=model.lbs_weights.astype(np.float32),
        uv=np.clip(uv, 0, 1).astype(np.float32),
        uv_faces=np.where(seen[faces].all(1)[:, None], faces, len(vertices)).astype(np.int32),
        texture=texture,
        confidence=np.repeat(np.array([[255] * size + [0] * PATCH], np.uint8), size, 0),
    )
