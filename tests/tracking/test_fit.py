"""Crops and fits against what is known exactly."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.protocol.camera import Camera
from backend.tracking.fit import DEPTH_SCALE, fit_head
from backend.tracking.photo import crop_around, to_crop, to_photo
from backend.tracking.plain_head import look_at
from flame.rotations import matrix_to_axis_angle


@settings(max_examples=30, deadline=None)
@given(st.floats(10, 900), st.floats(10, 600), st.floats(40, 700), st.sampled_from([128, 256, 512]))
def test_a_crop_shows_the_photo_where_it_says(x, y, face_height, size):
    """On a photo whose colours are its coordinates, every pixel tells where it came from."""
    rows, columns = np.mgrid[:600, :900] + 0.5
    photo = np.stack([columns / 900, rows / 600, 0 * rows], 2)
    photo = (photo * 255).round().astype(np.uint8)
    face = np.array([[x - 0.3 * face_height, y - face_height / 2], [x + 0.3 * face_height, y + face_height / 2]])
    crop = crop_around(photo, face, size)
    assert (crop.image.shape, crop.valid.shape) == ((size, size, 3), (size, size))
    v, u = np.nonzero(crop.valid)
    pick = np.linspace(0, len(u) - 1, 50).astype(int)
    u, v = u[pick], v[pick]
    at = to_photo(crop, np.c_[u + 0.5, v + 0.5, 0 * u])
    # Nearer than a sample to the border, filters see the repeated edge.
    inside = (np.abs(at[:, 0] - 450) < 440) & (np.abs(at[:, 1] - 300) < 290)
    colour = crop.image[v, u][inside] / 255.0
    np.testing.assert_allclose(colour[:, 0], at[inside, 0] / 900, atol=0.008)
    np.testing.assert_allclose(colour[:, 1], at[inside, 1] / 600, atol=0.008)
    np.testing.assert_allclose(to_crop(crop, to_photo(crop, np.c_[face, [5, 6]])), np.c_[face, [5, 6]], atol=1e-6)


def landmarks_of(model, camera: Camera, betas, expression) -> np.ndarray:
    """Exact landmarks of a known head, as a perfect detector would find them."""
    at = model.landmark_positions(model.rest_vertices(betas, expression))
    depth = camera.to_camera(at)[:, 2]
    focal = camera.intrinsics[0, 0]
    z = (depth - depth[:468].mean()) * focal / depth.mean() / DEPTH_SCALE
    return np.c_[camera.project(at), z].astype(np.float32)


@pytest.mark.parametrize(("yaw", "pitch"), [(0, 0), (15, 5), (-20, -8)])
@pytest.mark.parametrize("size", [256, 512])
def test_a_known_head_is_found(open_head, yaw, pitch, size):
    rng = np.random.default_rng(abs(yaw) + size)
    betas = 0.8 * rng.standard_normal(30).astype(np.float32)
    betas[0] = 0  # size, which one view cannot tell
    expression = np.zeros(52, np.float32)
    expression[[open_head.expression_names.index(n) for n in ("jawOpen", "mouthSmileLeft")]] = 0.4, 0.6
    centre, focal = np.array([0, -0.03, 0.02]), 1400.0 * size / 512
    camera = look_at(centre, np.radians(yaw), np.radians(pitch), 1.15, focal, size)
    fit = fit_head(landmarks_of(open_head, camera, betas, expression), open_head, size)

    turn = fit.camera.extrinsics[:3, :3] @ camera.extrinsics[:3, :3].T
    assert np.degrees(np.linalg.norm(matrix_to_axis_angle(turn))) < 2.5
    assert fit.rms[1] < 0.3
    face = open_head.regions["face"]
    truth = open_head.rest_vertices(betas, expression)[face]
    seen, found = camera.to_camera(truth), fit.camera.to_camera(fit.vertices[face])
    # One view leaves the scale open.
    found = found * seen[:, 2].mean() / found[:, 2].mean()
    assert np.sqrt(((seen - found) ** 2).sum(1).mean()) < 0.004
    assert fit.expression[open_head.expression_names.index("jawOpen")] > 0.2


def test_gaze_is_found(open_head):
    camera = look_at(np.array([0, -0.03, 0.02]), 0, 0, 1.15, 1400.0, 512)
    expression = np.zeros(52, np.float32)
    index = {n: open_head.expression_names.index(n) for n in open_head.expression_names}
    expression[[index["eyeLookOutLeft"], index["eyeLookInRight"]]] = 0.8
    found = fit_head(landmarks_of(open_head, camera, None, expression), open_head, 512).expression
    assert found[index["eyeLookOutLeft"]] > 0.3
    assert found[index["eyeLookInRight"]] > 0.3
    assert found[index["eyeLookOutRight"]] < 0.1


def test_far_from_the_face_nothing_is_warped(open_head):
    camera = look_at(np.array([0, -0.03, 0.02]), 0, 0, 1.15, 1400.0, 512)
    landmarks = landmarks_of(open_head, camera, None, None)
    landmarks[:468, :2] += 3 * np.random.default_rng(0).standard_normal((468, 2))
    fit = fit_head(landmarks, open_head, 512)
    plain = open_head.rest_vertices(fit.betas)
    torso = open_head.regions["torso"]
    np.testing.assert_array_equal(fit.neutral_vertices[torso], plain[torso])
    assert np.abs(fit.neutral_vertices - plain).max() > 1e-4
    for name in ("eye_left", "eye_right"):
        shift = (fit.neutral_vertices - plain)[open_head.regions[name]]
        np.testing.assert_allclose(shift, shift[:1].repeat(len(shift), 0), atol=1e-6)
