"""The open head with its landmark embedding, and the regions that it bounds."""

from __future__ import annotations

import numpy as np

from backend.people.open_head.build import build_open_head
from backend.tracking.embedding import compute_embedding, face_region
from flame.files import head_model_from_arrays


def build_with_landmarks() -> tuple[dict[str, np.ndarray], float]:
    """The arrays of the head model's file, and the share of the sampled variance that the identity holds."""
    arrays, variance_share = build_open_head()
    _add_landmarks(arrays)
    return arrays, variance_share


def _add_landmarks(arrays: dict[str, np.ndarray]) -> None:
    """The embedding, and the regions that it bounds."""
    model = head_model_from_arrays(arrays, "open_head", "")
    embedding = compute_embedding(model)
    arrays["landmark_face_index"] = embedding.face_index
    arrays["landmark_barycentric"] = embedding.barycentric
    arrays["landmark_weight"] = embedding.weight
    face = face_region(head_model_from_arrays(arrays, "open_head", ""))
    arrays["region_face"] = face
    # What no other region claims is hair above the ear lobes, and neck below.
    taken = np.concatenate([face, *model.regions.values()])
    rest = np.setdiff1d(np.arange(len(model.v_template)), taken)
    lobes = model.v_template[np.concatenate([model.regions["ear_left"], model.regions["ear_right"]]), 1].min()
    above = model.v_template[rest, 1] > lobes - 0.01
    arrays["region_scalp"] = rest[above].astype(np.int32)
    arrays["region_neck"] = np.union1d(arrays["region_neck"], rest[~above]).astype(np.int32)
