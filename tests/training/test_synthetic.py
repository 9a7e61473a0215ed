"""Synthetic people: the same seed gives the same one, and the truth agrees with its portrait."""

import numpy as np
import pytest

from backend.geometry.orbit import orbit
from backend.people.pairing.reference import LEAST_AGREEMENT
from backend.people.synthesis.noise import smoothstep, to_linear, to_srgb
from backend.people.synthesis.traits import draw_traits
from backend.protocol.camera import Camera
from backend.training.synthetic.figure import Part, build_figure
from backend.training.synthetic.materials import Looks
from backend.training.synthetic.pairs import make_pairs
from backend.training.synthetic.portrait import take_photo
from backend.training.synthetic.rendering import render
from flame import load_head_model


@pytest.fixture(scope="module")
def model():
    return load_head_model()


def test_the_same_seed_gives_the_same_photo(model):
    photos = []
    for seed in (3, 3, 4):
        figure = build_figure(draw_traits(seed, model), model)
        photos.append(take_photo(figure, Looks(figure)).data)
    assert photos[0] == photos[1] != photos[2]


def test_people_differ_and_stay_plausible(model):
    people = [draw_traits(seed, model) for seed in range(60)]
    assert {person.hair_style for person in people} == {"short", "medium", "long", "buzz", "bald", "cap"}
    assert any(person.glasses for person in people)
    for person in people:
        assert np.abs(person.betas).max() < 1.21
        assert (np.diff(person.skin) < 0).all()
        assert ((person.expression >= 0) & (person.expression <= 1)).all()


def test_a_picture_has_the_person_in_it(model):
    traits = next(person for person in (draw_traits(s, model) for s in range(50)) if person.hair_style == "long")
    figure = build_figure(traits, model)
    assert (figure.part == Part.HAIR).any()
    pose = np.diag([1.0, -1, -1, 1])
    pose[2, 3] = 1.2
    picture = render(figure, Looks(figure), Camera.from_arrays([[150, 0, 32], [0, 150, 32], [0, 0, 1]], pose, 64, 64))
    assert picture.rgba.shape == (64, 64, 4)
    assert 0.2 < (picture.rgba[..., 3] > 0.5).mean() < 0.95
    assert (picture.head <= picture.rgba[..., 3] + 1e-5).all()
    assert picture.rgba.min() >= 0
    assert picture.rgba.max() <= 1


@pytest.mark.slow
def test_truth_agrees_with_the_portrait_at_its_own_view(model):
    pairs = make_pairs(0, model, size=128)
    assert pairs.agreement > LEAST_AGREEMENT
    assert pairs.angles[0] == pytest.approx([0, 0])
    assert (np.abs(pairs.angles[1:, 0]) >= 8).all()
    assert pairs.raw.shape == pairs.truth.shape == (6, 128, 128, 4)
    # The avatar of the portrait looks like it, so raw and true views do too, at their own view best of all.
    both = (pairs.raw[0, ..., 3] == 255) & (pairs.head[0] == 255)
    error = pairs.raw[0, ..., :3][both].astype(float) - pairs.truth[0, ..., :3][both]
    assert 10 * np.log10(255**2 / (error**2).mean()) > 25


def test_an_orbit_keeps_the_center_where_it_is():
    pose = np.eye(4)
    pose[:3, 3] = [0.1, 0.2, 1.5]
    camera = Camera.from_arrays([[500, 0, 128], [0, 500, 128], [0, 0, 1]], pose, 256, 256)
    center = np.array([0.02, -0.05, -0.08])
    for yaw, pitch in ((30, 0), (-70, 15), (0, -20)):
        turned = orbit(camera, center, yaw, pitch)
        np.testing.assert_allclose(turned.project(center), camera.project(center), atol=1e-6)
        np.testing.assert_allclose(turned.extrinsics[:3, :3] @ turned.extrinsics[:3, :3].T, np.eye(3), atol=1e-9)


def test_positive_yaw_shows_the_heads_right_cheek_side():
    # A point on the person's left (+x) comes nearer to the camera when the head turns to its right, and the other way.
    camera = Camera.from_arrays([[500, 0, 128], [0, 500, 128], [0, 0, 1]], np.diag([1.0, -1, -1, 1]), 256, 256)
    left = np.array([0.08, 0, 0])
    turned = orbit(camera, np.zeros(3), 30, 0)
    assert turned.to_camera(left)[2] > camera.to_camera(left)[2]


def test_shaping_functions():
    x = np.linspace(0, 1, 101)
    np.testing.assert_allclose(to_srgb(to_linear(x[:80])), x[:80], atol=1e-3)
    assert (np.diff(to_srgb(np.linspace(0, 5, 50))) >= 0).all()
    assert smoothstep(np.array([-1.0, 0.5, 2.0]), 0, 1).tolist() == [0, 0.5, 1]
    assert smoothstep(np.array([0.0, 1.0]), 1, 0).tolist() == [1, 0]
