"""Busts of real portraits: they look like the photo, follow their parameters, and never surprise."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from flame_sized import flame_sized_head
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.avatars.bust import register_bust
from backend.avatars.bust.anatomy import Anatomy
from backend.avatars.bust.chart import RadialChart
from backend.avatars.bust.shading import MOST_ALPHA, face_alphas
from backend.geometry.posing import posed_vertices
from backend.metrics.psnr_ssim import psnr
from backend.protocol.camera import Camera
from backend.protocol.head_parameters import HeadParameters

GREY = 150


def over_grey(rgba):
    alpha = rgba[..., 3:] / 255
    return np.rint(rgba[..., :3] * alpha + GREY * (1 - alpha)).astype(np.uint8)


def around(avatar, yaw, size=256, distance=1.0):
    """The portrait's camera carried round the head by yaw degrees, at a multiple of its distance."""
    camera = avatar.tracked.camera
    centre = avatar.tracked.neutral_vertices.mean(0).astype(float)
    y = np.radians(yaw)
    turn = np.eye(4)
    turn[:3, :3] = [[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]]
    turn[:3, 3] = centre - turn[:3, :3] @ centre
    extrinsics = camera.extrinsics @ turn
    in_camera = extrinsics[:3, :3] @ centre + extrinsics[:3, 3]
    extrinsics[:3, 3] += in_camera * (distance - 1)
    turned = Camera.from_arrays(camera.intrinsics, extrinsics, camera.width, camera.height)
    return turned.crop(0, 0, camera.width, size)


def posed(avatar, **joints):
    pose = np.zeros((5, 3))
    for index, name in enumerate(("global", "neck", "jaw", "eye_left", "eye_right")):
        pose[index] = joints.get(name, (0, 0, 0))
    return HeadParameters.from_arrays(pose, avatar.tracked.parameters.expression)


def test_the_portrait_comes_back_from_the_front(avatar):
    view = avatar.render([around(avatar, 0)], avatar.tracked.parameters)[0]
    photo = cv2.resize(avatar.tracked.image, (256, 256), interpolation=cv2.INTER_AREA)
    alpha = cv2.resize(avatar.tracked.regions.alpha, (256, 256), interpolation=cv2.INTER_AREA)
    assert psnr(over_grey(view.rgba), photo, alpha >= 0.95) >= 23


@pytest.mark.parametrize("yaw", [-150, -60, 35, 90, 180])
def test_every_side_shows_a_whole_head(avatar, yaw):
    front, view = avatar.render([around(avatar, 0), around(avatar, yaw)], avatar.tracked.parameters)
    alpha = view.rgba[..., 3]
    assert 0.4 < (alpha > 127).sum() / (front.rgba[..., 3] > 127).sum() < 2.0
    u, v = around(avatar, yaw).project(avatar._framing.centre).astype(int)
    assert alpha[v - 20 : v + 20, u - 20 : u + 20].min() == 255
    assert np.isfinite(view.depth[alpha > 200]).all()
    assert (view.place[alpha == 0] == 0).all(1).mean() > 0.99


def test_the_same_request_gives_the_same_pixels(astronaut):
    cameras = [around(astronaut, 25), around(astronaut, -10)]
    first, second = (astronaut.render(cameras, posed(astronaut, neck=(0, 0.3, 0))) for _ in range(2))
    for a, b in zip(first, second, strict=True):
        assert np.array_equal(a.rgba, b.rgba)
        assert np.array_equal(a.depth, b.depth)


def test_a_camera_in_the_head_or_turned_away_sees_nothing(astronaut):
    inside = around(astronaut, 0, distance=0.02)
    camera = astronaut.tracked.camera
    away = Camera.from_arrays(camera.intrinsics, np.diag([-1.0, 1, -1, 1]) @ camera.extrinsics, 64, 64)
    for view in astronaut.render([inside, away], astronaut.tracked.parameters):
        assert not view.rgba.any()
        assert np.isinf(view.depth).all()
        assert not view.confidence.any()


def test_a_pixel_tells_its_place_on_the_resting_head(astronaut):
    """At rest that is where the surface is, from the middle between the eyes."""
    camera = around(astronaut, 50)
    view = astronaut.render([camera], HeadParameters())[0]
    # Where a pixel's samples lie on one surface.
    depth = np.where(np.isfinite(view.depth), view.depth, 0)
    inside = (view.rgba[..., 3] == 255) & (np.ptp([np.roll(depth, s, a) for s in (-1, 1) for a in (0, 1)], 0) < 0.003)
    rows, columns = np.nonzero(inside)
    surface = camera.unproject(np.stack([columns, rows], 1) + 0.5, view.depth[inside].astype(float))
    expected = surface - astronaut.mesh().joints[3:].mean(0)
    assert inside.mean() > 0.1
    assert np.percentile(np.abs(view.place[inside] - expected), 95) < 0.003


def test_gaze_moves_only_the_eyes(astronaut):
    camera = astronaut.tracked.camera
    straight = astronaut.render([camera], posed(astronaut))[0].rgba.astype(int)
    turned = posed(astronaut, eye_left=(0, 0.4, 0), eye_right=(0, 0.4, 0))
    changed = np.abs(straight - astronaut.render([camera], turned)[0].rgba).max(2) > 12
    eyes = np.zeros_like(changed)
    for corners in ((33, 133), (362, 263)):
        points = astronaut.tracked.landmarks[list(corners), :2]
        x, y = points.mean(0)
        half = np.ptp(points[:, 0])
        eyes[int(y - half) : int(y + half), int(x - half) : int(x + half)] = True
    assert changed[eyes].sum() > 20
    assert not changed[~eyes].any()


def test_expressions_move_the_face_and_the_neck_leaves_the_torso(astronaut):
    mesh = astronaut.mesh()
    assert len(mesh.expression_names) == 52
    still = {"tongueOut"} | {name for name in mesh.expression_names if name.startswith("eyeLook")}
    moves = np.linalg.norm(mesh.expression_offsets, axis=2).max(1)
    assert all(m > 1e-3 for m, name in zip(moves, mesh.expression_names, strict=True) if name not in still)
    rest, opened, nodding = (
        posed_vertices(mesh, posed(astronaut, **{joint: (angle, 0, 0)}))
        for joint, angle in (("jaw", 0), ("jaw", 0.3), ("neck", 0.3))
    )
    assert np.linalg.norm(opened - rest, axis=1).max() > 0.015
    assert np.linalg.norm(nodding - rest, axis=1)[astronaut._cloth].max() < 1e-6
    with pytest.raises(ValueError, match="53 expression coefficients"):
        posed_vertices(mesh, HeadParameters.from_arrays(expression=np.zeros(53)))


def test_the_mesh_is_sound(avatar):
    mesh = avatar.mesh()
    for name in ("vertices", "expression_offsets", "uv", "skin_weights"):
        assert np.isfinite(getattr(mesh, name)).all(), name
    assert set(np.unique(mesh.faces)) == set(range(len(mesh.vertices)))
    assert set(np.unique(mesh.uv_faces)) == set(range(len(mesh.uv)))
    assert mesh.faces.shape == mesh.uv_faces.shape
    assert 0 <= mesh.uv.min() <= mesh.uv.max() <= 1
    assert np.allclose(mesh.skin_weights.sum(1), 1, atol=1e-4)
    assert mesh.skin_weights.min() >= 0
    assert mesh.confidence.shape == mesh.texture.shape[:2]
    # Nothing is drawn that shows nothing, and most of a head is solid.
    texels = mesh.uv * mesh.texture.shape[1::-1] - 0.5
    texels[:, 1] = mesh.texture.shape[0] - 1 - texels[:, 1]
    low, high = face_alphas(texels, mesh.uv_faces, mesh.texture[..., 3])
    assert high.min() > 0
    assert 0.3 < (low >= MOST_ALPHA).mean() < 1


def test_the_surfaces_share_no_texel(astronaut):
    """Head, hair and torso are told apart by what they hang together with: no texel is drawn from two of them."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    mesh = astronaut.mesh()
    edges = np.concatenate([mesh.uv_faces[:, [0, 1]], mesh.uv_faces[:, [1, 2]]])
    graph = coo_matrix((np.ones(len(edges)), edges.T), (len(mesh.uv),) * 2)
    _, island = connected_components(graph)
    size = 1024
    owner = np.full((size, size), -1)
    overlap = 0
    for number in np.flatnonzero(np.bincount(island[mesh.uv_faces[:, 0]]) > 200):
        drawn = np.zeros((size, size), np.uint8)
        corners = mesh.uv[mesh.uv_faces[island[mesh.uv_faces[:, 0]] == number]] * [size, -size] + [0, size]
        for corner in np.rint(corners).astype(np.int32):
            cv2.fillConvexPoly(drawn, corner, 1)
        overlap += ((owner >= 0) & (drawn > 0)).sum()
        owner[drawn > 0] = number
    assert overlap < 0.003 * (owner >= 0).sum()


def test_another_texture_shows_and_is_another_avatar(astronaut):
    mesh = astronaut.mesh()
    assert astronaut.with_texture(mesh.texture.copy()).id == astronaut.id
    green = np.full((64, 32, 4), (0, 200, 0, 255), np.uint8)
    painted = astronaut.with_texture(green)
    assert painted.id != astronaut.id
    assert painted.mesh().confidence.shape == (64, 32)
    rgba = painted.render([around(painted, 40)], HeadParameters())[0].rgba
    assert (rgba[rgba[..., 3] > 0, :3] == (0, 200, 0)).all()


def test_the_head_s_square_is_the_portrait_s_and_follows_the_camera(astronaut):
    x, y, side = astronaut.bounds(astronaut.tracked.camera, astronaut.tracked.parameters)
    assert (x, y) == pytest.approx((0, 0), abs=2)
    assert side == pytest.approx(astronaut.tracked.camera.width, rel=0.01)
    near = astronaut.bounds(around(astronaut, 0), astronaut.tracked.parameters)[2]
    far = astronaut.bounds(around(astronaut, 0, distance=2.0), astronaut.tracked.parameters)[2]
    assert far == pytest.approx(near / 2, rel=0.05)


def test_a_view_says_what_belongs_to_the_head_and_how_sure_it_is(avatar):
    front, behind = avatar.render([around(avatar, 0, 512), around(avatar, 150, 512)], avatar.tracked.parameters)
    x, y = avatar.tracked.landmarks[4, :2].astype(int)
    assert front.head[y, x] > 0.95
    assert front.head[-8:][front.rgba[-8:, :, 3] == 255].max() < 0.05  # the shoulders
    assert front.confidence[y - 20 : y + 20, x - 20 : x + 20].mean() > 0.7
    assert behind.confidence[behind.rgba[..., 3] > 0].mean() < 0.3
    assert front.turned < 0.05
    assert behind.turned == pytest.approx(np.radians(150), abs=0.1)


@pytest.mark.slow
def test_a_head_model_of_flame_s_size_that_knows_its_eyes_alone_gives_a_bust(astronaut, astronaut_photo):
    model = flame_sized_head()
    model = replace(model, regions={name: model.regions[name] for name in ("eye_left", "eye_right")})
    avatar = register_bust(astronaut_photo, model)
    for yaw in (0, 60, 180):
        view, other = (a.render([around(a, yaw)], a.tracked.parameters)[0] for a in (avatar, astronaut))
        found, wanted = view.rgba[..., 3] > 127, other.rgba[..., 3] > 127
        assert (found & wanted).sum() > 0.8 * (found | wanted).sum()


def test_ears_are_found_beside_the_eyes(head_model):
    eyes = {name: head_model.regions[name] for name in ("eye_left", "eye_right")}
    guessed, told = Anatomy.of(replace(head_model, regions=eyes)), Anatomy.of(head_model)
    for side in ("ear_left", "ear_right"):
        found, true = getattr(guessed, side), getattr(told, side)
        assert (found & true).sum() > 0.9 * (found | true).sum()
    assert not (guessed.scalp & (guessed.ears | guessed.mouth | guessed.eyes)).any()
    assert not (guessed.eyes & (guessed.sockets | guessed.mouth)).any()


CHART = RadialChart(np.array([0.01, 0.02, -0.03]), 12, 20, 37, 0.01)


@settings(deadline=None)
@given(row=st.floats(0.5, 31), column=st.floats(0, 35.9), radius=st.floats(0.05, 0.3))
def test_a_chart_s_coordinates_are_those_of_its_points(row, column, radius):
    """Elevation and azimuth by the definition, and back."""
    elevation = np.pi / 2 * max(1 - row / CHART.cap_rows, 0)
    azimuth = -np.pi + column / (CHART.columns - 1) * 2 * np.pi
    flat = np.cos(elevation)
    direction = np.array([flat * np.sin(azimuth), np.sin(elevation), flat * np.cos(azimuth)])
    point = CHART.centre + radius * direction - [0, max(row - CHART.cap_rows, 0) * CHART.step, 0]
    found = np.array(CHART.coordinates(point[None]))[:, 0]
    # The first column and the last are the same ray.
    found[0] += (CHART.columns - 1) * round((column - found[0]) / (CHART.columns - 1))
    assert found == pytest.approx([column, row, radius], abs=1e-6)


def test_a_chart_s_grid_is_a_closed_surface_seen_from_outside():
    radius = np.full(CHART.shape, 0.1)
    points, faces = CHART.points(radius).reshape(-1, 3), CHART.faces()
    corners = points[faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    axis = CHART.centre * [1, 0, 1] + [0, 1, 0] * np.minimum(corners.mean(1)[:, 1:2], CHART.centre[1])
    assert ((normals * (corners.mean(1) - axis)).sum(1) >= -1e-12).all()
    assert CHART.radius_of(points, faces)[1:-1] == pytest.approx(radius[1:-1], rel=0.02)
