"""People of the synthetic corpus: drawn from a seed, built as arrays; nothing is rendered here."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.people.synthesis import accessories, eyes, facial_hair, hair, light
from backend.people.synthesis.anatomy import anatomy_of
from backend.people.synthesis.build import build_scene
from backend.people.synthesis.expressions import PLAYS, draw_performance
from backend.people.synthesis.framing import YAW_BANDS
from backend.people.synthesis.identity import ShapeSource
from backend.people.synthesis.person import BEARDS, COLLARS, HAIR_STYLES, draw_person
from backend.people.synthesis.surface import Subdivision, nearest_roots, rigid_motion, scatter
from backend.people.synthesis.views import draw_views
from flame.rotations import axis_angle_to_matrix


@pytest.fixture(scope="module")
def shapes(model):
    return ShapeSource(model, components_only=True)


@pytest.fixture(scope="module")
def person(shapes):
    return draw_person(5, shapes)


def test_a_seed_is_a_person(shapes):
    one, again, other = (draw_person(seed, shapes) for seed in (3, 3, 4))
    assert one.describe() == again.describe()
    assert np.array_equal(one.shape.vertices, again.shape.vertices)
    assert not np.allclose(one.shape.vertices, other.shape.vertices)


def test_projection_finds_the_components_of_a_head_within_them(model, shapes):
    betas = np.zeros(model.num_shape, np.float32)
    betas[[0, 3, 40]] = 1.0, -0.7, 0.4
    assert shapes.project(model.rest_vertices(betas)) == pytest.approx(betas, abs=0.02)


@pytest.mark.slow
def test_anny_goes_beyond_the_components(model):
    pytest.importorskip("anny")
    source = ShapeSource(model)
    shape, again = (source.draw(np.random.default_rng(2)) for _ in range(2))
    assert source.beyond_components
    assert np.array_equal(shape.vertices, again.vertices)
    gap = np.linalg.norm(shape.vertices - model.rest_vertices(shape.betas), axis=1)
    face = model.regions["face"]
    # A head that the components only come near to, yet the same head.
    assert 1e-4 < gap[face].mean() < 4e-3


def test_every_action_is_played_within_its_range(model):
    rng = np.random.default_rng(0)
    most = np.zeros(model.num_expression)
    for _ in range(1500):
        play, parameters = draw_performance(rng, model, portrait=False)
        assert play in PLAYS
        expression = np.array(parameters.expression)
        assert (expression >= 0).all()
        assert (expression <= 1).all()
        most = np.maximum(most, expression)
    assert [name for name, value in zip(model.expression_names, most, strict=True) if value == 0] == []


def test_the_portrait_is_frontal_and_the_views_are_exact(model, person):
    views = draw_views(person, model, 6, 512)
    assert [view.camera.width for view in views] == [512] + [256] * 6
    assert np.abs(views[0].angles).max() <= 30
    # Three views show the portrait's moment, three another; each time one of each band, from both sides by turns.
    played = [view.parameters for view in views]
    assert [played.index(parameters) for parameters in played] == [0, 0, 0, 0, 4, 4, 4]
    for view, (low, high) in zip(views[1:], YAW_BANDS * 2, strict=True):
        assert low <= abs(view.angles[0]) <= high
    assert all(views[k].angles[0] * views[k + 1].angles[0] < 0 for k in range(1, 6))
    own = replace(model, v_template=person.shape.vertices)
    for view in views:
        head = own.forward(None, view.parameters.expression, view.parameters.joint_rotations).vertices
        assert np.array_equal(head, view.vertices)
        face = view.camera.project(view.landmarks)
        assert (face > 0).all()
        assert (face < view.camera.width).all()


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(-3, 3), min_size=3, max_size=3), st.lists(st.floats(-1, 1), min_size=3, max_size=3))
def test_a_rigid_motion_is_found_again(turn, offset):
    points = np.random.default_rng(1).normal(0, 0.1, (20, 3))
    R = axis_angle_to_matrix(np.array(turn)[None])[0]
    motion = rigid_motion(points, points @ R.T + offset)
    assert motion(points) == pytest.approx(points @ R.T + offset, abs=1e-5)


def test_refinement_keeps_the_vertices_and_rounds_a_sphere(model):
    ball, _ = eyes.make_eye(0.016)
    assert np.isfinite(ball["vertices"]).all()
    fine = Subdivision.of(model.faces, len(model.v_template))
    positions = fine.positions(model.v_template, model.faces)
    assert np.array_equal(positions[: len(model.v_template)], model.v_template)
    assert len(fine.faces) == 4 * len(model.faces)
    # An octahedron's middles lie nearer to its sphere (1) than the middles of its edges (0.71).
    corners = np.concatenate([np.eye(3), -np.eye(3)])
    faces = np.array([[0, 1, 2], [1, 3, 2], [3, 4, 2], [4, 0, 2], [1, 0, 5], [3, 1, 5], [4, 3, 5], [0, 4, 5]])
    middles = Subdivision.of(faces, 6).positions(corners, faces)[6:]
    assert (np.linalg.norm(middles, axis=1) > 0.85).all()


def test_roots_stay_where_they_are_and_follow_the_density(model):
    density = (model.v_template[:, 1] > 0.05).astype(float)
    roots = scatter(np.random.default_rng(0), model.v_template, model.faces, density, 500)
    places = roots.on(model.v_template, model.faces)
    assert len(places) > 300
    assert places[:, 1].min() > 0.03
    again = nearest_roots(places, model.v_template, model.faces, np.ones(len(model.faces), bool))
    distance = np.linalg.norm(again.on(model.v_template, model.faces) - places, axis=1)
    assert np.median(distance) < 1e-4


@pytest.mark.parametrize("style", HAIR_STYLES)
def test_hair_of_every_kind_grows_on_the_head_and_outside_of_it(model, person, style):
    anatomy, vertices = anatomy_of(model), person.shape.vertices
    grown = hair.grow_hair(replace(person, hair=style, hat="none"), anatomy, vertices, model.faces)
    if style == "bald":
        assert grown is None
        return
    strands = grown.strands
    assert np.isfinite(strands).all()
    assert 0 < grown.radius < 0.001
    assert ((grown.grey >= 0) & (grown.grey <= 1)).all()
    assert len(strands) > 2000
    # No strand hangs before the face: within the eyes' and mouth's breadth nothing is below the brows.
    before = (np.abs(strands[..., 0]) < 0.02) & (strands[..., 2] > 0.02) & (strands[..., 1] < -0.03)
    assert before.mean() < 0.005


@pytest.mark.parametrize("beard", BEARDS)
def test_a_beard_leaves_the_lips_and_eyes_free(model, person, beard):
    anatomy = anatomy_of(model)
    density = facial_hair.beard_density(replace(person, beard=beard), anatomy)
    grown = facial_hair.grow_beard(replace(person, beard=beard), anatomy, person.shape.vertices, model.faces)
    assert (grown is None) == (beard == "none")
    assert density[anatomy.mouth].max() == 0
    assert density[anatomy.template[:, 1] > -0.02].max() < 0.5


@pytest.mark.parametrize("collar", COLLARS)
def test_a_collar_lies_around_the_neck(model, person, collar):
    anatomy, rest = anatomy_of(model), person.shape.vertices
    made = accessories.make_collar(replace(person, collar=collar), anatomy, rest, model.faces)
    assert np.isfinite(made["vertices"]).all()
    assert made["faces"].max() < len(made["vertices"])
    width = np.ptp(made["vertices"], axis=0)
    assert 0.09 < width[0] < 0.35
    assert made["vertices"][:, 1].max() < model.landmark_positions(rest)[14, 1] + 0.03


def test_a_scene_is_the_same_twice(model, shapes, person, tmp_path):
    for name in "ab":
        surroundings = light.draw_surroundings(person.rng(36), {}, False)
        scene = build_scene(person, shapes, draw_views(person, model, 1, 64), surroundings)
        scene.write(tmp_path / f"{name}.npz")
    with np.load(tmp_path / "a.npz", allow_pickle=False) as a, np.load(tmp_path / "b.npz", allow_pickle=False) as b:
        assert a.files == b.files
        assert all(np.array_equal(a[name], b[name]) for name in a.files)


@pytest.mark.slow
def test_eyeballs_lie_where_the_head_has_its_eyes(model):
    pytest.importorskip("anny")
    # The joints' regressor misses this head's eyes by 3 mm.
    shapes = ShapeSource(model)
    person = draw_person(113, shapes)
    views = draw_views(person, model, 4, 64)
    scene = build_scene(person, shapes, views, light.draw_surroundings(person.rng(36), {}, False))
    for k, view in enumerate((views[0], views[4])):
        for side in ("left", "right"):
            ball, eye = scene.arrays[f"meshes/ball_{side}/{k}"], view.vertices[model.regions[f"eye_{side}"]]
            ball_middle = (ball.max(0) + ball.min(0)) / 2
            assert np.linalg.norm(eye - ball_middle, axis=1) == pytest.approx(
                np.ptp(ball, axis=0).max() / 2, abs=0.0022
            )
