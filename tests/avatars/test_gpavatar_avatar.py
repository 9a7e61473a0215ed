"""GPAvatar as an avatar: any camera, any pose, metres, steady noise, clear errors."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from flame_sized import flame_sized_head
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_gpavatar import TINY, tiny_network

from backend.avatars.framing import HeadFraming
from backend.avatars.gpavatar import Renderer, register_gpavatar
from backend.avatars.gpavatar.cameras import camera_rays, head_points, published_camera, published_transform, rectify
from backend.avatars.gpavatar.volume import published_rays
from backend.evaluation.portraits import real_portraits
from backend.pipeline import Catalog, Pipeline
from backend.protocol.camera import Camera
from backend.protocol.errors import TurboPortraitError
from backend.protocol.head_parameters import HeadParameters
from flame.rotations import axis_angle_to_matrix, matrix_to_axis_angle

CONFIG = replace(TINY, points=5023)
SCALE = CONFIG.head_scale


@pytest.fixture(scope="module")
def head():
    return flame_sized_head()


@pytest.fixture(scope="module")
def photo():
    return real_portraits()["astronaut"]


@pytest.fixture(scope="module")
def renderer():
    return Renderer(tiny_network(CONFIG))


@pytest.fixture(scope="module")
def avatar(head, photo, renderer):
    return register_gpavatar(photo, head, renderer=renderer)


def solid_renderer() -> Renderer:
    """The whole box is opaque from its first sample on."""
    network = tiny_network(CONFIG)
    network.nerf_mlp.density_layers[0].bias.fill_(1e3)
    return Renderer(network)


numbers = partial(st.floats, allow_nan=False)
vectors = lambda most: st.tuples(*(numbers(-most, most),) * 3).map(np.array)  # noqa: E731


@st.composite
def cameras(draw):
    """Pinholes of any lens, shift and place that look about towards the head."""
    extrinsics = np.eye(4)
    turn = axis_angle_to_matrix(draw(vectors(0.5))) @ np.diag([1.0, -1, -1])
    extrinsics[:3, :3] = turn @ axis_angle_to_matrix(np.array([0, draw(numbers(-3, 3)), 0]))
    extrinsics[:3, 3] = [draw(numbers(-0.1, 0.1)), draw(numbers(-0.1, 0.1)), draw(numbers(0.6, 6))]
    focal = draw(numbers(300, 4000))
    intrinsics = [
        [focal, 0, draw(numbers(-200, 900))],
        [0, focal * draw(numbers(0.7, 1.4)), draw(numbers(-200, 900))],
        [0, 0, 1],
    ]
    return Camera.from_arrays(intrinsics, extrinsics, draw(st.integers(64, 700)), draw(st.integers(64, 700)))


class TestCameras:
    @settings(max_examples=60, deadline=None)
    @given(cameras(), vectors(1.0), vectors(1.0), vectors(0.2))
    def test_landmarks_agree_through_our_camera_and_the_published_one(self, camera, turn, nod, shift):
        head = flame_sized_head()
        framing = HeadFraming(np.zeros(3), head.rest_joints(head.v_template), head.parents, camera)
        parameters = HeadParameters.from_arrays([turn, nod, [0, 0, 0], [0, 0, 0], [0, 0, 0]], None, shift)
        transform = framing.head_transform(parameters)
        still = head.landmark_positions(head.v_template)
        ours = camera.project(still @ transform[:3, :3].T + transform[:3, 3])
        # PyTorch3D: row vectors, x to the left, y up; then the camera's own focal lengths and principal point.
        matrix = published_transform(camera, transform, SCALE)
        view = SCALE * still @ matrix[:, :3] + matrix[:, 3]
        ndc = view[:, :2] / view[:, 2:]
        theirs = -ndc @ camera.intrinsics[:2, :2].T + camera.intrinsics[:2, 2]
        seen = view[:, 2] > 0.2 * SCALE
        np.testing.assert_allclose(ours[seen], theirs[seen], atol=0.1)

    @settings(max_examples=60, deadline=None)
    @given(cameras(), vectors(1.0))
    def test_rays_meet_the_pixels_that_the_camera_projects_to(self, camera, turn):
        transform = np.eye(4)
        transform[:3, :3] = axis_angle_to_matrix(turn)
        rays, cosines = camera_rays(camera, transform, 5, SCALE)
        points = (rays.origins + 10 * rays.directions)[0].double().numpy() / SCALE
        y, x = np.mgrid[0 : camera.height : 5j, 0 : camera.width : 5j]
        pixels = camera.project(points @ transform[:3, :3].T)
        np.testing.assert_allclose(pixels, np.stack([x.ravel(), y.ravel()], 1), atol=0.1)
        depths = camera.to_camera(points @ transform[:3, :3].T)[:, 2]
        origin = camera.to_camera(rays.origins[0].double().numpy() / SCALE @ transform[:3, :3].T)[:, 2]
        np.testing.assert_allclose(depths - origin, 10 / SCALE * cosines.numpy(), atol=1e-4)

    def test_the_trained_framing_gives_the_published_rays(self):
        turn = axis_angle_to_matrix(np.array([0.1, 0.4, -0.2]))
        matrix = np.hstack([turn @ np.diag([-1.0, 1, -1]), [[0.05], [-0.1], [11]]])
        camera = published_camera(matrix, CONFIG.focal_length, 512, SCALE)
        np.testing.assert_allclose(published_transform(camera, np.eye(4), SCALE), matrix, atol=1e-9)
        ours, _ = camera_rays(camera, np.eye(4), 32, SCALE)
        theirs = published_rays(torch.tensor(matrix[None], dtype=torch.float32), 32, CONFIG.focal_length)
        torch.testing.assert_close(ours.origins, theirs.origins, atol=1e-4, rtol=0)
        torch.testing.assert_close(ours.directions, theirs.directions, atol=1e-5, rtol=0)

    def test_the_head_stays_still_in_the_box(self, head):
        moved = HeadParameters.from_arrays([[0.3, 0.5, 0], [0.2, 0.1, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0]])
        spoken = HeadParameters.from_arrays([[0, 0, 0], [0, 0, 0], [0.4, 0, 0], [0, 0, 0], [0, 0, 0]])
        betas = np.array([1.0, -0.5], np.float32)
        rest = head_points(head, betas, HeadParameters(), SCALE)
        np.testing.assert_array_equal(head_points(head, betas, moved, SCALE), rest)
        assert np.abs(head_points(head, betas, spoken, SCALE) - rest).max() > 0.05
        np.testing.assert_allclose(rest, SCALE * head.rest_vertices(betas), rtol=1e-6)


class TestPortrait:
    def test_the_square_of_the_box_fills_the_image(self):
        turn = axis_angle_to_matrix(np.array([0.15, -0.3, 0.1]))
        extrinsics = np.eye(4)
        extrinsics[:3, :3], extrinsics[:3, 3] = np.diag([1.0, -1, -1]) @ turn, [0.01, 0.02, 1.5]
        camera = Camera.from_arrays([[1400, 0, 250], [0, 1400, 260], [0, 0, 1]], extrinsics, 512, 512)
        y, x = np.mgrid[0:512, 0:512]
        image = np.stack([x // 2, y // 2, np.full_like(x, 200)], -1).astype(np.uint8)
        size = 65
        seen = rectify(image, np.ones((512, 512), np.float32), camera, size, SCALE)
        for row, column in ((0, 0), (10, 50), (32, 32), (64, 0), (64, 64), (5, 40)):
            place = np.array([-1 + 2 * column / (size - 1), 1 - 2 * row / (size - 1), 0]) / SCALE
            pixel = camera.project(place) - 0.5
            if (pixel > 2).all() and (pixel < 509).all():
                np.testing.assert_allclose(seen[:2, row, column] * 255, pixel / 2, atol=1.0)

    def test_the_background_is_black(self, photo, head):
        avatar = register_gpavatar(photo, head, renderer=Renderer(tiny_network(CONFIG)))
        tracked = avatar.tracked
        seen = rectify(tracked.image, tracked.matte, tracked.camera, 128, SCALE)
        assert seen[:, :10, :10].max() == 0
        assert seen[:, 60:70, 60:70].mean() > 0.3


class TestRendering:
    def test_any_size_any_number_of_views(self, avatar):
        portrait = avatar.tracked.camera
        wide = Camera.from_arrays(portrait.intrinsics, portrait.extrinsics, 300, 170)
        away = np.diag([-1, 1, -1, 1.0])
        blind = Camera.from_arrays(portrait.intrinsics, away @ portrait.extrinsics, 64, 64)
        views = avatar.render([portrait, wide, blind, portrait.crop(100, 100, 300, 33)], avatar.tracked.parameters)
        assert [v.rgba.shape for v in views] == [(512, 512, 4), (170, 300, 4), (64, 64, 4), (33, 33, 4)]
        assert all(v.depth.shape == v.confidence.shape == v.rgba.shape[:2] for v in views)
        assert not views[2].rgba.any()
        assert np.isinf(views[2].depth).all()
        # A crop shows what the frame shows there.
        frame = views[0].rgba[..., 3].astype(float)
        np.testing.assert_allclose(views[1].rgba[..., 3], frame[:170, :300], atol=1)
        np.testing.assert_allclose(views[3].rgba[8:-8, 8:-8, 3].mean(), frame[180:320, 180:320].mean(), atol=6)

    def test_depth_is_in_metres_and_alpha_is_the_opacity(self, head, photo):
        avatar = register_gpavatar(photo, head, renderer=solid_renderer())
        extrinsics = np.diag([1.0, -1, -1, 1])
        extrinsics[2, 3] = 1.4
        camera = Camera.from_arrays([[900, 0, 128], [0, 900, 128], [0, 0, 1]], extrinsics, 256, 256)
        view = avatar.render([camera], HeadParameters())[0]
        middle = np.s_[120:136, 120:136]
        assert view.rgba[middle][..., 3].min() == 255
        # The box's front face, and half a stratum behind it the first sample.
        half_stratum = 0.4 / CONFIG.coarse_samples / 2
        np.testing.assert_allclose(view.depth[middle], 1.4 - 0.2 + half_stratum, atol=0.002)

    def test_head_and_camera_turned_together_show_the_same(self, avatar):
        turn = axis_angle_to_matrix(np.array([0.1, 0.6, 0.2]))
        moved = np.eye(4)
        moved[:3, :3], moved[:3, 3] = turn, [0.1, -0.2, 0.05]
        camera = avatar.tracked.camera
        follower = Camera.from_arrays(camera.intrinsics, camera.extrinsics @ np.linalg.inv(moved), 512, 512)
        joints = avatar.mesh().joints
        shift = moved[:3, 3] + turn @ joints[0] - joints[0]
        parameters = HeadParameters.from_arrays(
            [matrix_to_axis_angle(turn), [0, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0]], None, shift
        )
        still, turned = avatar.render([camera], HeadParameters())[0], avatar.render([follower], parameters)[0]
        assert np.abs(still.rgba.astype(int) - turned.rgba).max() <= 3

    def test_a_camera_inside_the_head_sees_nothing(self, avatar):
        extrinsics = np.eye(4)
        extrinsics[:3, 3] = -avatar._framing.centre
        camera = Camera.from_arrays([[500, 0, 64], [0, 500, 64], [0, 0, 1]], extrinsics, 128, 128)
        assert not avatar.render([camera], HeadParameters())[0].rgba.any()


class TestNoise:
    def test_a_still_camera_gives_still_pixels(self, head, photo, renderer, avatar):
        again = register_gpavatar(photo, head, renderer=renderer)
        camera, rest = avatar.tracked.camera, avatar.tracked.parameters
        first = avatar.render([camera], rest)[0].rgba
        np.testing.assert_array_equal(avatar.render([camera], rest)[0].rgba, first)
        np.testing.assert_array_equal(again.render([camera], rest)[0].rgba, first)


class TestRegistration:
    def test_through_the_pipeline(self, head, photo, renderer):
        catalog = replace(
            Catalog.default(),
            makers={"gpavatar": lambda: partial(register_gpavatar, renderer=renderer)},
            head_models={"flame": lambda: head},
        )
        pipeline = Pipeline(catalog, device="cpu")
        stages = []
        registered = pipeline.register(photo, "gpavatar", "flame", lambda fraction, stage: stages.append(stage))
        assert stages == ["loading the network", "tracking", "building", "done"]
        camera = registered.avatar.tracked.camera
        cameras = [camera, camera.crop(0, 0, 512, 200)]
        raw = pipeline.render_raw(registered, cameras, HeadParameters())
        refined = pipeline.refine(registered, cameras, HeadParameters(), raw, "compact")
        assert [r.shape for r in refined] == [(512, 512, 4), (200, 200, 4)]
        mesh = pipeline.mesh(registered.avatar.id)
        assert mesh.vertices.shape == (5023, 3)
        assert mesh.confidence.mean() > 25

    def test_another_head_model_is_refused_and_the_bust_is_named(self, photo, renderer):
        with pytest.raises(TurboPortraitError, match=r"5,023(.|\n)*bust") as caught:
            register_gpavatar(photo, flame_sized_head(4000), renderer=renderer)
        assert caught.value.code == "wrong_head_model"

    def test_without_weights_it_says_what_to_run(self, head, photo, tmp_path, monkeypatch):
        monkeypatch.setenv("TURBOPORTRAIT_MODELS", str(tmp_path))
        with pytest.raises(TurboPortraitError, match="models add gpavatar") as caught:
            register_gpavatar(photo, head)
        assert caught.value.code == "weights_missing"


class TestHalfPrecision:
    def test_the_whole_path_runs_in_half_precision_and_stays_near(self, head, photo, avatar):
        # As on a GPU, where it is the default.
        half = register_gpavatar(photo, head, renderer=Renderer(tiny_network(CONFIG), dtype=torch.float16))
        camera = avatar.tracked.camera
        exact, rough = (a.render([camera], HeadParameters())[0].rgba.astype(float) for a in (avatar, half))
        assert np.abs(exact - rough).mean() < 2
