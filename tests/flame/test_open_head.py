"""The head that ships: complete, symmetric, rigged as its actions say."""

import numpy as np
import pytest

from flame import default_head_path

ARKIT_NAMES = """
browDownLeft browDownRight browInnerUp browOuterUpLeft browOuterUpRight cheekPuff cheekSquintLeft cheekSquintRight
eyeBlinkLeft eyeBlinkRight eyeLookDownLeft eyeLookDownRight eyeLookInLeft eyeLookInRight eyeLookOutLeft
eyeLookOutRight eyeLookUpLeft eyeLookUpRight eyeSquintLeft eyeSquintRight eyeWideLeft eyeWideRight jawForward jawLeft
jawOpen jawRight mouthClose mouthDimpleLeft mouthDimpleRight mouthFrownLeft mouthFrownRight mouthFunnel mouthLeft
mouthLowerDownLeft mouthLowerDownRight mouthPressLeft mouthPressRight mouthPucker mouthRight mouthRollLower
mouthRollUpper mouthShrugLower mouthShrugUpper mouthSmileLeft mouthSmileRight mouthStretchLeft mouthStretchRight
mouthUpperUpLeft mouthUpperUpRight noseSneerLeft noseSneerRight tongueOut
"""
REGIONS = "eye_left eye_right ear_left ear_right scalp neck torso mouth_interior tongue face"


def action(head, name):
    return np.eye(head.num_expression)[head.expression_names.index(name)]


def test_it_is_whole(open_head):
    assert sorted(open_head.expression_names) == sorted(ARKIT_NAMES.split())
    assert default_head_path().stat().st_size < 12e6
    assert open_head.num_shape == 100
    assert set(REGIONS.split()) <= set(open_head.regions)
    assert all(len(v) for v in open_head.regions.values())
    assert open_head.vt.min() >= 0
    assert open_head.vt.max() <= 1
    assert len(open_head.ft) == len(open_head.faces)
    assert len(open_head.landmarks.weight) == 478
    np.testing.assert_allclose(open_head.lbs_weights.sum(1), 1, atol=1e-5)
    np.testing.assert_allclose(open_head.J_regressor.sum(1), 1, atol=1e-4)


def test_it_stands_in_head_space(open_head):
    """Metres, y up, face towards +z, the person's left at +x, the origin between the eyes."""
    joints = open_head.rest_joints(open_head.v_template)
    np.testing.assert_allclose(joints[3:].mean(0), 0, atol=1e-3)
    assert joints[3, 0] > 0.025
    assert joints[4, 0] < -0.025
    nose_tip, chin = open_head.landmark_positions(open_head.v_template)[[1, 152]]
    assert nose_tip[2] > 0.02
    assert -0.16 < chin[1] < -0.09
    assert open_head.v_template[:, 1].min() < chin[1] - 0.22


def test_left_is_left(open_head):
    for name in open_head.expression_names:
        side = "Left" if name.endswith("Left") else "Right" if name.endswith("Right") else None
        if side is None or name in ("jawLeft", "jawRight", "mouthLeft", "mouthRight"):
            continue
        moved = np.linalg.norm(
            open_head.rest_vertices(expression=action(open_head, name)) - open_head.v_template, axis=1
        )
        centre = (moved[:, None] * open_head.v_template).sum(0) / moved.sum()
        assert (centre[0] > 0) == (side == "Left"), name


@pytest.mark.parametrize("seed", range(3))
def test_expressions_do_not_shift_the_joints(open_head, seed):
    rng = np.random.default_rng(seed)
    betas, expression = rng.standard_normal(100), rng.random(52)
    joints = open_head.rest_joints(open_head.rest_vertices(betas))
    np.testing.assert_allclose(open_head.rest_joints(open_head.rest_vertices(betas, expression)), joints, atol=2e-4)


def test_turning_the_jaw_opens_the_mouth_as_jaw_open_does(open_head):
    pose = np.zeros((5, 3))
    pose[2, 0] = np.radians(20)
    turned = open_head.forward(pose=pose).vertices - open_head.v_template
    opened = open_head.rest_vertices(expression=action(open_head, "jawOpen")) - open_head.v_template
    skin = np.union1d(open_head.regions["face"], open_head.regions["neck"])
    apart = np.linalg.norm(turned - opened, axis=1)[skin]
    assert np.linalg.norm(opened, axis=1)[skin].max() > 0.03
    assert np.percentile(apart, 50) < 0.001
    assert np.percentile(apart, 95) < 0.006


def test_the_eyes_turn_in_place_and_alone(open_head):
    pose = np.zeros((5, 3))
    pose[3, 1] = np.radians(20)
    moved = np.linalg.norm(open_head.forward(pose=pose).vertices - open_head.v_template, axis=1)
    left = open_head.regions["eye_left"]
    assert np.delete(moved, left).max() < 1e-6
    centre, radius = open_head.rest_joints(open_head.v_template)[3], 0.016
    distance = np.linalg.norm(open_head.v_template[left] - centre, axis=1)
    assert distance.max() < radius + 0.003
    turned = open_head.forward(pose=pose).vertices[left]
    np.testing.assert_allclose(np.linalg.norm(turned - centre, axis=1), distance, atol=1e-5)


def test_the_neck_turns_the_head_and_leaves_the_shoulders(open_head):
    pose = np.zeros((5, 3))
    pose[1, 1] = np.radians(30)
    moved = np.linalg.norm(open_head.forward(pose=pose).vertices - open_head.v_template, axis=1)
    shoulders = open_head.regions["torso"][np.abs(open_head.v_template[open_head.regions["torso"], 0]) > 0.15]
    assert moved[shoulders].max() < 0.002
    assert moved[open_head.regions["face"]].min() > 0.01


def test_one_standard_deviation_is_one(open_head):
    """Random identities stay heads: no vertex of the face strays by more than some millimetres per sample."""
    rng = np.random.default_rng(0)
    face = open_head.regions["face"]
    strays = [
        np.linalg.norm(open_head.rest_vertices(rng.standard_normal(100)) - open_head.v_template, axis=1)[face]
        for _ in range(20)
    ]
    assert 0.002 < np.sqrt(np.mean(np.square(strays))) < 0.015


def test_landmarks_lie_where_their_names_say(open_head):
    at = open_head.landmark_positions(open_head.v_template)
    chin, nose_tip, forehead, upper_lip, lower_lip = at[[152, 1, 10, 13, 14]]
    assert chin[1] < lower_lip[1] <= upper_lip[1] < nose_tip[1] < forehead[1]
    # mediapipe counts from the viewer's left: 33 is the person's right eye, 468 the right iris.
    assert at[33, 0] < at[133, 0] < 0 < at[362, 0] < at[263, 0]
    for iris, joint in ((468, 4), (473, 3)):
        eye = open_head.rest_joints(open_head.v_template)[joint]
        assert np.linalg.norm(at[iris, :2] - eye[:2]) < 0.003
        assert at[iris, 2] > eye[2] + 0.01


def test_opening_the_jaw_parts_the_lip_landmarks(open_head):
    at = open_head.landmark_positions(open_head.rest_vertices(expression=action(open_head, "jawOpen")))
    assert at[13, 1] - at[14, 1] > 0.02
