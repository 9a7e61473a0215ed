"""A head that tracking can fit, with as many vertices as FLAME has: the open head without its outermost vertices."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np

from flame import HeadModel, default_head_path, load_head_model
from flame.head_model import LandmarkEmbedding

FLAME_VERTICES = 5023


@cache
def flame_sized_head(count: int = FLAME_VERTICES) -> HeadModel:
    """The open head's `count` vertices that lie nearest to its middle, and the faces between them."""
    model = load_head_model(default_head_path())
    rest = model.v_template
    middle = rest[model.regions["face"]].mean(0)
    keep = np.sort(np.argsort(np.linalg.norm(rest - middle, axis=1), kind="stable")[:count])
    index = np.full(len(rest), -1)
    index[keep] = np.arange(count)
    faces = index[model.faces]
    whole = (faces >= 0).all(1)
    face_index = np.cumsum(whole) - 1
    landmarks = model.landmarks
    weight = landmarks.weight * whole[landmarks.face_index]
    regressor = model.J_regressor[:, keep]
    total = np.maximum(regressor.sum(1, keepdims=True), 1e-9)
    return replace(
        model,
        name="flame_sized",
        v_template=rest[keep],
        faces=faces[whole].astype(np.int32),
        shapedirs=model.shapedirs[keep],
        expressiondirs=model.expressiondirs[keep],
        posedirs=model.posedirs.reshape(36, -1, 3)[:, keep].reshape(36, -1),
        J_regressor=regressor / total,
        lbs_weights=model.lbs_weights[keep],
        vt=None,
        ft=None,
        landmarks=LandmarkEmbedding(
            np.where(whole[landmarks.face_index], face_index[landmarks.face_index], 0).astype(np.int32),
            landmarks.barycentric,
            weight,
        ),
        regions={name: index[v][index[v] >= 0] for name, v in model.regions.items()},
    )
