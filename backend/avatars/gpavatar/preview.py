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


def preview_mesh(tracked: TrackedPortrait, model: HeadModel) -> RiggedMesh:
    """The fitted head model as a rigged mesh, coloured by the photo where it faced the photo's camera."""
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
    uv = np.stack([pixels[:, 0], size - pixels[:, 1]], 1).astype(np.float32) / size
    count = len(vertices)
    return RiggedMesh(
        vertices=vertices,
        faces=model.faces.astype(np.int32),
        expression_vertices=moving.astype(np.int32),
        expression_offsets=np.ascontiguousarray(basis[:, moving], np.float32),
        expression_names=model.expression_names,
        joints=model.rest_joints(vertices).astype(np.float32),
        parents=model.parents.astype(np.int32),
        skin_weights=model.lbs_weights.astype(np.float32),
        uv=uv,
        texture=np.dstack([tracked.image, np.full((size, size), 255, np.uint8)]),
        photo_weight=seen.astype(np.float32),
        photo_facing=np.clip(facing, 0, 1).astype(np.float32),
        fill_uv=uv,
        fill_weight=np.zeros(count, np.float32),
        base_color=np.tile(skin.astype(np.uint8), (count, 1)),
    )
