"""The relief avatar of real portraits: it looks like the photo, follows its parameters, and never surprises."""

import cv2
import numpy as np
import pytest

from backend.evaluation.metrics import psnr
from backend.protocol.camera import Camera
from backend.protocol.head_parameters import HeadParameters
from backend.tracking.landmarks import find_landmarks

GREY = 150


def over_grey(rgba):
    alpha = rgba[..., 3:] / 255
    return np.rint(rgba[..., :3] * alpha + GREY * (1 - alpha)).astype(np.uint8)


def around(avatar, yaw, distance=1.0):
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
    return Camera.from_arrays(camera.intrinsics, extrinsics, camera.width, camera.height)


def posed(avatar, **joints):
    pose = np.zeros((5, 3))
    for index, name in enumerate(("global", "neck", "jaw", "eye_left", "eye_right")):
        pose[index] = joints.get(name, (0, 0, 0))
    return HeadParameters.from_arrays(pose, avatar.tracked.parameters.expression)


@pytest.mark.parametrize(("name", "least"), [("astronaut", 33.0), ("hopper", 30.0)])
def test_the_portrait_comes_back_from_the_front(request, name, least):
    avatar = request.getfixturevalue(name)
    camera = avatar.tracked.camera.crop(0, 0, avatar.tracked.camera.width, 256)
    view = avatar.render([camera], avatar.tracked.parameters)[0]
    photo = cv2.resize(avatar.tracked.image, (256, 256), interpolation=cv2.INTER_AREA)
    inside = cv2.resize(avatar.tracked.matte, (256, 256), interpolation=cv2.INTER_AREA) > 0.5
    assert psnr(over_grey(view.rgba), photo, inside) >= least


@pytest.mark.parametrize("yaw", [-20, 20])
def test_landmarks_are_found_again_on_a_turned_head(astronaut, head_model, yaw):
    camera = around(astronaut, yaw)
    picture = over_grey(astronaut.render([camera], astronaut.tracked.parameters)[0].rgba)
    expected = camera.project(head_model.landmark_positions(astronaut.tracked.vertices))[:468]
    found = find_landmarks(picture)[:468, :2]
    assert np.median(np.linalg.norm(found - expected, axis=1)) <= 2.0


def test_the_same_request_gives_the_same_pixels(avatar):
    cameras = [around(avatar, 25), around(avatar, -10)]
    first, second = (avatar.render(cameras, posed(avatar, neck=(0, 0.3, 0))) for _ in range(2))
    for a, b in zip(first, second, strict=True):
        assert np.array_equal(a.rgba, b.rgba)
        assert np.array_equal(a.depth, b.depth)


def test_a_camera_in_the_head_or_turned_away_sees_nothing(avatar):
    inside = around(avatar, 0, distance=0.02)
    camera = avatar.tracked.camera
    away = Camera.from_arrays(camera.intrinsics, np.diag([-1.0, 1, -1, 1]) @ camera.extrinsics, 64, 64)
    for view in avatar.render([inside, away], avatar.tracked.parameters):
        assert not view.rgba.any()
        assert np.isinf(view.depth).all()
        assert not view.confidence.any()


def test_a_crop_shows_what_the_whole_view_shows(avatar):
    camera = around(avatar, 15)
    whole = avatar.render([camera], avatar.tracked.parameters)[0]
    part = avatar.render([camera.crop(128, 64, 256, 256)], avatar.tracked.parameters)[0]
    difference = np.abs(over_grey(whole.rgba)[64:320, 128:384].astype(int) - over_grey(part.rgba))
    assert np.percentile(difference, 99) <= 2


def test_depth_is_the_surface_s(avatar):
    nose = 1
    camera = avatar.tracked.camera
    tip = avatar.tracked.landmarks[nose, :2].astype(int)
    view = avatar.render([camera], avatar.tracked.parameters)[0]
    in_camera = camera.to_camera(avatar.tracked.vertices.astype(float))
    nearest = in_camera[np.linalg.norm(camera.project(avatar.tracked.vertices) - tip, axis=1) < 8, 2].min()
    assert abs(view.depth[tip[1], tip[0]] - nearest) < 0.004


@pytest.mark.parametrize("yaw", [0, 50, 180])
def test_a_pixel_tells_its_place_on_the_resting_head(avatar, yaw):
    """At rest that is where the surface is, from the middle between the eyes."""
    camera = around(avatar, yaw)
    view = avatar.render([camera], HeadParameters())[0]
    # Where a pixel's samples lie on one surface.
    depth = np.where(np.isfinite(view.depth), view.depth, 0)
    inside = (view.rgba[..., 3] == 255) & (np.ptp([np.roll(depth, s, a) for s in (-1, 1) for a in (0, 1)], 0) < 0.003)
    rows, columns = np.nonzero(inside)
    surface = camera.unproject(np.stack([columns, rows], 1) + 0.5, view.depth[inside].astype(float))
    expected = surface - avatar.mesh().joints[3:].mean(0)
    assert inside.mean() > 0.15
    assert np.percentile(np.abs(view.place[inside] - expected), 99) < 0.002
    assert (view.place[view.rgba[..., 3] == 0] == 0).all()


def test_a_place_stays_the_same_place_when_the_head_turns_and_speaks(avatar):
    camera, mesh = avatar.tracked.camera, avatar.mesh()
    posing = HeadParameters.from_arrays(
        np.array([[0, 0, 0], [0.1, 0.3, 0], [0.2, 0, 0], [0, 0, 0], [0, 0, 0]]), avatar.tracked.parameters.expression
    )
    view = avatar.render([camera], posing)[0]
    vertices = avatar.posed(posing).astype(float)
    column, row = np.clip(camera.project(vertices).astype(int), 0, camera.width - 1).T
    seen = np.abs(camera.to_camera(vertices)[:, 2] - view.depth[row, column]) < 0.001
    apart = np.linalg.norm(view.place[row, column] - (mesh.vertices - mesh.joints[3:].mean(0)), axis=1)
    assert seen.sum() > 1000
    assert np.median(apart[seen]) < 0.002
    assert np.percentile(apart[seen], 95) < 0.01


def test_the_portrait_is_warped_into_every_view(avatar):
    """Each vertex that a view sees is shown as in the portrait, and what the photo is sure of as in the view."""
    camera, mesh = around(avatar, 30), avatar.mesh()
    view = avatar.render([camera], avatar.tracked.parameters)[0]
    vertices = avatar.posed(avatar.tracked.parameters).astype(float)
    column, row = np.clip(camera.project(vertices).astype(int), 0, camera.width - 1).T
    seen = np.abs(camera.to_camera(vertices)[:, 2] - view.depth[row, column]) < 0.001
    size = mesh.texture.shape[0]
    x, y = np.clip(np.stack([mesh.uv[:, 0], 1 - mesh.uv[:, 1]]) * size, 0, size - 1).astype(int)
    apart = np.abs(view.warped[row, column].astype(int) - mesh.texture[y, x, :3]).max(1)
    assert np.median(apart[seen]) <= 6
    sure = (view.confidence > 0.999) & (view.rgba[..., 3] == 255)
    assert np.abs(view.warped[sure].astype(int) - view.rgba[sure, :3]).max() <= 1
    unsure = (view.confidence < 0.01) & (view.rgba[..., 3] == 255)
    assert (view.warped[unsure] != view.rgba[unsure, :3]).mean() > 0.5


def test_the_portrait_knows_its_places(avatar):
    camera = avatar.tracked.camera.crop(0, 0, avatar.tracked.camera.width, 64)
    place = avatar.portrait_place(64)
    assert np.array_equal(place, avatar.render([camera], avatar.tracked.parameters)[0].place)
    # Somebody's own left is the picture's right.
    middle, right = place[32, 32], place[32, 40]
    assert right[0] > middle[0] + 0.01


def test_gaze_moves_only_the_eyes(avatar):
    camera = avatar.tracked.camera
    straight = avatar.render([camera], posed(avatar))[0].rgba.astype(int)
    aside = avatar.render([camera], posed(avatar, eye_left=(0, 0.4, 0), eye_right=(0, 0.4, 0)))[0].rgba.astype(int)
    changed = np.abs(straight - aside).max(2) > 12
    eyes = np.zeros_like(changed)
    for corners in ((33, 133), (362, 263)):
        points = avatar.tracked.landmarks[list(corners), :2]
        x, y = points.mean(0)
        half = np.ptp(points[:, 0])
        eyes[int(y - half) : int(y + half), int(x - half) : int(x + half)] = True
    assert changed[eyes].sum() > 20
    assert not changed[~eyes].any()


def test_every_expression_moves_the_mesh_and_the_jaw_leaves_the_hair(avatar):
    mesh = avatar.mesh()
    assert len(mesh.expression_names) == 52
    still = {"tongueOut"} | {name for name in mesh.expression_names if name.startswith("eyeLook")}
    moves = np.linalg.norm(mesh.expression_offsets, axis=2).max(1)
    assert all(m > 1e-3 for m, name in zip(moves, mesh.expression_names, strict=True) if name not in still)
    rest, opened = (avatar.posed(posed(avatar, jaw=(angle, 0, 0))) for angle in (0, 0.3))
    moved = np.linalg.norm(opened - rest, axis=1)
    assert moved.max() > 0.015
    brows = np.quantile(rest[:, 1], 0.9)
    assert moved[rest[:, 1] > brows].max() < 1e-4


def test_the_mesh_is_sound(avatar):
    mesh = avatar.mesh()
    count = len(mesh.vertices)
    for name in ("vertices", "expression_offsets", "uv", "fill_uv", "skin_weights", "photo_facing"):
        assert np.isfinite(getattr(mesh, name)).all(), name
    assert mesh.faces.min() == 0
    assert mesh.faces.max() == count - 1
    assert np.allclose(mesh.skin_weights.sum(1), 1, atol=1e-4)
    assert mesh.skin_weights.min() >= 0
    assert 0 <= mesh.photo_weight.min() <= mesh.photo_weight.max() <= 1


def test_the_head_s_square_is_the_portrait_s_and_follows_the_camera(avatar):
    camera = avatar.tracked.camera
    x, y, side = avatar.bounds(camera, avatar.tracked.parameters)
    assert (x, y) == pytest.approx((0, 0), abs=2)
    assert side == pytest.approx(camera.width, rel=0.01)
    _, _, farther = avatar.bounds(around(avatar, 0, distance=2.0), avatar.tracked.parameters)
    assert farther == pytest.approx(side / 2, rel=0.05)


@pytest.mark.parametrize("turn", [0, 12, -40])
def test_a_view_says_how_far_it_is_turned_off_the_portrait(avatar, turn):
    radians = np.radians(turn)
    still = HeadParameters.from_arrays(expression=avatar.tracked.parameters.expression)
    turning = posed(avatar, neck=(0, radians, 0))
    # The head's middle is not quite what the camera is carried around.
    assert avatar.render([around(avatar, turn)], still)[0].turned == pytest.approx(abs(radians), abs=0.03)
    assert avatar.render([avatar.tracked.camera], turning)[0].turned == pytest.approx(abs(radians), abs=0.03)


def test_a_view_says_what_belongs_to_the_head(avatar):
    view = avatar.render([avatar.tracked.camera], avatar.tracked.parameters)[0]
    u, v = np.rint(avatar.tracked.camera.project(avatar._framing.centre)).astype(int)
    assert view.head[v, u] > 0.95
    solid = view.rgba[..., 3] == 255
    assert view.head[-4:][solid[-4:]].max() < 0.05  # the shoulders
    assert (view.head[view.rgba[..., 3] == 0] == 0).all()


def test_a_ring_beside_the_neck_is_no_part_of_the_head(astronaut):
    view = astronaut.render([astronaut.tracked.camera], astronaut.tracked.parameters)[0]
    x, y = astronaut.tracked.landmarks[152, :2].astype(int)
    ring, chin = view.head[y - 20, x - 160 : x - 80], view.head[y - 20, x - 20 : x + 20]
    assert (view.rgba[y - 20, x - 160 : x - 80, 3] == 255).all()
    assert not ring.any()
    assert chin.min() > 0.95


def test_confidence_is_high_on_the_face_and_low_behind_it(avatar):
    front, behind = avatar.render([around(avatar, 0), around(avatar, 150)], avatar.tracked.parameters)
    x, y = avatar.tracked.landmarks[4, :2].astype(int)
    assert front.confidence[y - 20 : y + 20, x - 20 : x + 20].mean() > 0.7
    assert behind.confidence[behind.rgba[..., 3] > 0].mean() < 0.3


def test_too_many_expressions_are_refused(avatar):
    with pytest.raises(ValueError, match="53 expression coefficients"):
        avatar.posed(HeadParameters.from_arrays(expression=np.zeros(53)))
