"""Our forward against the published implementation of FLAME."""

import numpy as np
import pytest
import smplx
import torch
from synthetic_flame import NUM_EXPRESSION, NUM_SHAPE, random_parameters

from flame import load_head_model


@pytest.fixture(scope="module")
def published(flame_folder):
    return smplx.FLAME(str(flame_folder), num_betas=NUM_SHAPE, num_expression_coeffs=NUM_EXPRESSION)


@pytest.mark.parametrize("seed", range(4))
def test_vertices_and_joints_match_smplx(published, flame_model, seed):
    parameters = random_parameters(seed)
    tensors = {k: torch.tensor(v, dtype=torch.float32)[None] for k, v in parameters.items()}
    names = ("global_orient", "neck_pose", "jaw_pose", "leye_pose", "reye_pose")
    with torch.no_grad():
        theirs = published(
            betas=tensors["betas"],
            expression=tensors["expression"],
            transl=tensors["translation"],
            **{name: tensors["pose"][:, j] for j, name in enumerate(names)},
        )
    ours = flame_model.forward(**parameters)
    np.testing.assert_allclose(ours.vertices, theirs.vertices[0].numpy(), atol=1e-5)
    np.testing.assert_allclose(ours.joints, theirs.joints[0, :5].numpy(), atol=1e-5)


def test_npz_and_pkl_are_the_same_model(flame_folder, flame_model):
    other = load_head_model(flame_folder / "FLAME_NEUTRAL.npz")
    parameters = random_parameters(9)
    np.testing.assert_allclose(
        other.forward(**parameters).vertices, flame_model.forward(**parameters).vertices, atol=1e-6
    )
