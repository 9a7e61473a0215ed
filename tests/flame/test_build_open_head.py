"""The parts that build the open head."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

pytest.importorskip("anny")

from backend.people.open_head.crop import crop_mesh
from backend.people.open_head.identity import principal_components
from backend.people.open_head.joints import JAW_OPEN_ANGLE, fit_hinge, regress_joint, sphere_centre


def grid(n=6):
    """A flat square of triangles in [0, 1]^2, with texture coordinates that are its x and y."""
    x, y = np.meshgrid(np.linspace(0, 1, n), np.linspace(0, 1, n))
    i = np.arange(n * n).reshape(n, n)
    a, b, c, d = i[:-1, :-1].ravel(), i[:-1, 1:].ravel(), i[1:, 1:].ravel(), i[1:, :-1].ravel()
    faces = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])
    return np.stack([x.ravel(), y.ravel(), 0 * x.ravel()], 1), faces


def test_a_crop_is_clean_and_keeps_area_and_texture():
    vertices, faces = grid()
    planes = [(np.array([1.0, 0.3, 0]), 0.37), (np.array([0.0, -1, 0]), -0.73)]
    crop = crop_mesh(vertices, faces, len(vertices), faces, planes)
    cut = crop.vertices_from @ vertices
    for normal, offset in planes:
        assert (cut @ normal >= offset - 1e-9).all()
    a, b, c = (cut[crop.faces[:, k]] for k in range(3))
    area = np.cross(b - a, c - a)[:, 2] / 2
    assert (area > 0).all()
    # The square's part with y < .73 right of the slanted line, as a trapezium.
    assert area.sum() == pytest.approx(0.73 * (1 - 0.37) + 0.3 * 0.73**2 / 2)
    np.testing.assert_allclose((crop.uv_from @ vertices)[crop.uv_faces], cut[crop.faces], atol=1e-12)
    edges = np.sort(np.concatenate([crop.faces[:, [0, 1]], crop.faces[:, [1, 2]], crop.faces[:, [2, 0]]]), 1)
    assert np.unique(edges, axis=0, return_counts=True)[1].max() == 2


def test_components_are_size_and_then_shape_with_unit_deviation():
    rng = np.random.default_rng(0)
    base = rng.standard_normal((40, 3))
    directions = 0.02 * rng.standard_normal((2, 40, 3))
    size = 1 + 0.1 * rng.standard_normal(400)
    heads = (base + np.tensordot(rng.standard_normal((400, 2)), directions, 1)) * size[:, None, None]
    mean, basis, share = principal_components(heads, np.ones(40), count=4)
    assert share > 0.999
    # The first component scales the mean and does nothing else.
    ratio = basis[..., 0] / mean
    np.testing.assert_allclose(ratio, ratio[0, 0], rtol=1e-9)
    assert ratio[0, 0] == pytest.approx(0.1, rel=0.2)
    flat = basis.reshape(120, 4)[:, :3]
    scores = np.linalg.lstsq(flat, (heads - mean).reshape(400, 120).T, rcond=None)[0]
    np.testing.assert_allclose(scores.std(1), 1, rtol=0.05)
    left = flat @ scores - (heads - mean).reshape(400, 120).T
    assert np.sqrt((left**2).mean()) < 0.003


def test_the_hinge_of_a_turn_is_found():
    rng = np.random.default_rng(1)
    points, hinge = rng.standard_normal((50, 3)) * 0.02 + [0, -0.09, 0.06], np.array([0, -0.04, -0.05])
    turned = (points - hinge) @ Rotation.from_rotvec([JAW_OPEN_ANGLE, 0, 0]).as_matrix().T + hinge
    np.testing.assert_allclose(fit_hinge(points, turned - points, hinge + np.array([0, 0.01, -0.01])), hinge, atol=2e-3)


def test_a_regressed_joint_ignores_the_actions():
    rng = np.random.default_rng(2)
    vertices, actions = rng.standard_normal((80, 3)), np.zeros((4, 80, 3))
    actions[:, :60] = 0.1 * rng.standard_normal((4, 60, 3))
    joint, chosen = np.array([0.1, 0.2, -0.1]), np.arange(10, 70)
    weights = regress_joint(vertices, chosen, joint, actions)
    np.testing.assert_allclose(weights @ vertices, joint, atol=1e-9)
    np.testing.assert_allclose(weights @ actions, 0, atol=1e-9)
    assert not weights[:10].any()


def test_a_sphere_from_a_cap_of_it():
    rng = np.random.default_rng(3)
    cap = rng.standard_normal((40, 3))
    cap[:, 2] = np.abs(cap[:, 2])
    cap = 0.015 * cap / np.linalg.norm(cap, axis=1, keepdims=True) + [1, 2, 3]
    np.testing.assert_allclose(sphere_centre(cap), [1, 2, 3], atol=1e-9)
