"""Lamps and sky go with the head: a head that turns with its light and its camera looks the same."""

import json
from dataclasses import replace

import numpy as np
import pytest

from backend.people.synthesis import light
from backend.people.synthesis.anatomy import anatomy_of
from backend.people.synthesis.build import build_scene
from backend.people.synthesis.identity import ShapeSource
from backend.people.synthesis.person import Person, draw_person
from backend.people.synthesis.renderer import Studio
from backend.people.synthesis.surface import rigid_motion
from backend.people.synthesis.views import draw_views
from backend.protocol.camera import Camera
from flame.rotations import axis_angle_to_matrix

SKIN = 1


def _sky(person: Person) -> light.Surroundings:
    return light.draw_surroundings(person.rng(36), {}, False)


@pytest.fixture(scope="module")
def shots(model):
    """A portrait; the same turned with its light; the same turned under a light that stays: linear colours, skin."""
    pytest.importorskip("bpy")
    shapes = ShapeSource(model, components_only=True)
    person = draw_person(5, shapes)
    (view,) = draw_views(person, model, 0, 64)
    turn, offset = axis_angle_to_matrix(np.array([[0.4, 0.9, -0.3]]))[0], np.array([0.02, -0.01, 0.03])
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = turn, offset
    camera = Camera.from_arrays(view.camera.intrinsics, view.camera.extrinsics @ np.linalg.inv(pose), 64, 64)
    moved = replace(view, camera=camera, vertices=(view.vertices @ turn.T + offset).astype(np.float32))
    # The fourth view after the portrait begins the next moment.
    scene = build_scene(person, shapes, [view, view, view, view, moved, moved], _sky(person))
    scene.description["views"] = [scene.description["views"][k] for k in (0, 4, 5)]
    views = scene.description["views"]
    assert np.reshape(views[0]["light"], (4, 4)) == pytest.approx(np.eye(4), abs=1e-6)
    assert np.reshape(views[1]["light"], (4, 4)) == pytest.approx(pose, abs=1e-4)
    views[2]["light"] = np.eye(4).ravel().tolist()
    assert json.loads(json.dumps(scene.description)) == scene.description
    studio = Studio(threads=2)
    try:
        shots, _ = studio.render(scene, 160)
    finally:
        studio.close()
    skin = np.logical_and.reduce([(shot["labels"] == SKIN) & (shot["color"][..., 3] > 0.99) for shot in shots])
    assert skin.sum() > 200
    return [shot["color"][skin][:, :3] for shot in shots]


@pytest.mark.slow
def test_a_head_is_lit_as_before_when_its_light_turns_with_it(shots):
    portrait, turned, _ = shots
    # What is left is the noise of few light paths.
    assert np.abs(turned - portrait).mean() < 0.08 * portrait.mean()


@pytest.mark.slow
def test_under_a_light_that_stays_it_is_lit_otherwise(shots):
    portrait, turned, stayed = shots
    assert np.abs(stayed - portrait).mean() > 2.5 * np.abs(turned - portrait).mean()


def test_the_light_follows_the_skull_and_not_the_shoulders(model):
    shapes = ShapeSource(model, components_only=True)
    person = draw_person(5, shapes)
    views = draw_views(person, model, 4, 64)
    scene = build_scene(person, shapes, views, _sky(person))
    ears = anatomy_of(model).ears
    for view, found in zip(views, scene.description["views"], strict=True):
        light = np.reshape(found["light"], (4, 4))
        motion = rigid_motion(views[0].vertices[ears], view.vertices[ears])
        assert light[:3, :3] == pytest.approx(motion.rotation)
        carried = views[0].vertices[ears] @ light[:3, :3].T + light[:3, 3]
        # An expression moves an ear a little by itself.
        assert carried == pytest.approx(view.vertices[ears], abs=3e-3)
