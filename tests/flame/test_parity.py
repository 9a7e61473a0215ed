"""Our forward against the published implementation of FLAME, and numpy against torch."""

import numpy as np
import pytest
import smplx
import torch
from synthetic_flame import NUM_EXPRESSION, NUM_SHAPE, random_parameters

from flame import load_head_model
from flame.torch_model import TorchHeadModel, axis_angle_to_matrix


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


def test_torch_matches_numpy_in_a_batch(flame_model):
    batch = [random_parameters(seed) for seed in range(3)]
    tensors = {k: torch.tensor(np.stack([p[k] for p in batch]), dtype=torch.float32) for k in batch[0]}
    with torch.no_grad():
        vertices, joints = TorchHeadModel(flame_model)(**tensors)
    for i, parameters in enumerate(batch):
        expected = flame_model.forward(**parameters)
        np.testing.assert_allclose(vertices[i].numpy(), expected.vertices, atol=1e-5)
        np.testing.assert_allclose(joints[i].numpy(), expected.joints, atol=1e-5)


def test_torch_landmarks_match_numpy(open_head):
    expression = np.linspace(0, 1, open_head.num_expression)
    vertices = open_head.forward(expression=expression).vertices
    ours = TorchHeadModel(open_head).landmark_positions(torch.tensor(vertices)[None])[0]
    np.testing.assert_allclose(ours.numpy(), open_head.landmark_positions(vertices), atol=1e-6)


@pytest.mark.slow
def test_gradients(open_head):
    """Finite differences against autograd in double precision, at rest and away from it."""
    model = TorchHeadModel(open_head, dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)

    def measure(betas, expression, pose, translation):
        vertices, joints = model(betas, expression, pose, translation)
        return vertices[:, ::997], joints

    for scale in (0.0, 0.4):
        inputs = [
            (scale * torch.randn(shape, generator=generator, dtype=torch.float64)).requires_grad_()
            for shape in ((1, 4), (1, 3), (1, 5, 3), (1, 3))
        ]
        assert torch.autograd.gradcheck(measure, inputs, atol=1e-7)


def test_rotation_has_second_derivatives_at_zero():
    zero = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(axis_angle_to_matrix, [zero], atol=1e-5)
