import pickle
from pathlib import Path

import numpy as np
import pytest
from synthetic_flame import flame_arrays

from flame import load_head_model


@pytest.fixture(scope="session")
def flame_folder(tmp_path_factory) -> Path:
    """A folder as smplx wants it: FLAME_NEUTRAL.pkl and .npz and a landmark embedding."""
    folder = tmp_path_factory.mktemp("flame")
    arrays = flame_arrays()
    (folder / "FLAME_NEUTRAL.pkl").write_bytes(pickle.dumps(arrays, protocol=2))
    np.savez(folder / "FLAME_NEUTRAL.npz", **{**arrays, "J_regressor": arrays["J_regressor"].toarray()})
    embedding = {"lmk_face_idx": np.zeros(51, np.int64), "lmk_b_coords": np.full((51, 3), 1 / 3)}
    (folder / "flame_static_embedding.pkl").write_bytes(pickle.dumps(embedding))
    return folder


@pytest.fixture(scope="session")
def flame_model(flame_folder):
    return load_head_model(flame_folder / "FLAME_NEUTRAL.pkl")


@pytest.fixture(scope="session")
def open_head():
    return load_head_model()
