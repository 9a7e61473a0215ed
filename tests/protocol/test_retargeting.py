"""Retargeting: neutral is rest, gains scale their region, rates conform."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from performances import performance

from backend.protocol.arkit import ACTIONS, LOOK_ANGLES, gaze_of, region_of
from backend.protocol.head_parameters import HeadParameters
from backend.protocol.retargeting import NECK, conformed, parameters_of, retargeted
from flame.rotations import axis_angle_to_matrix


@settings(max_examples=20, deadline=None)
@given(neutral=st.integers(0, 7), seed=st.integers(0, 99))
def test_the_neutral_frame_is_rest(neutral, seed):
    done = retargeted(performance(8, seed=seed), neutral=neutral)
    for values in (done.head, done.translation, done.expression, done.gaze):
        assert np.allclose(values[neutral], 0, atol=1e-6)
    assert done.header.neutral == -1
    assert not done.problem()


def test_a_turn_is_taken_in_the_neutral_heads_axes():
    given = performance(2)
    turned, nod = np.array([0, 0.5, 0]), np.array([0.3, 0, 0])
    matrix = axis_angle_to_matrix(turned) @ axis_angle_to_matrix(nod)
    from flame.rotations import matrix_to_axis_angle

    filmed = replace(given, head=np.stack([turned, matrix_to_axis_angle(matrix)]))
    assert np.allclose(retargeted(filmed, neutral=0).head[1], nod)


def test_gains_scale_their_region_alone():
    given = performance(4)
    done = retargeted(given, {"brows": 0.5, "head": 0.0})
    for column, action in enumerate(ACTIONS):
        factor = 0.5 if region_of(action) == "brows" else 1
        assert np.allclose(done.expression[:, column], factor * given.expression[:, column])
    assert not done.head.any()
    assert not done.translation.any()
    assert (done.gaze == given.gaze).all()
    with pytest.raises(ValueError, match="brows"):
        retargeted(given, {"brows": -1})
    with pytest.raises(ValueError, match="number 4 of 4"):
        retargeted(given, neutral=4)


def test_a_rate_of_its_own_changes_nothing():
    given = performance(9)
    same = conformed(given, Fraction(30))
    for name in ("time", "head", "expression", "gaze", "translation"):
        assert np.allclose(getattr(same, name), getattr(given, name), atol=1e-5)


def test_a_varying_rate_becomes_a_constant_one():
    times = np.array([0.0, 0.03, 0.05, 0.11, 0.2, 0.24, 0.3])
    given = performance(7)
    ramp = replace(
        given,
        time=times,
        expression=np.tile(times[:, None], (1, 52)),
        head=times[:, None] * [0, 1.0, 0],
        header=given.header.__class__((25, 1), neutral=3),
    )
    done = conformed(ramp, Fraction(20))
    assert np.allclose(np.diff(done.time), 0.05)
    assert np.allclose(done.expression[:, 0], done.time, atol=1e-9)
    assert np.allclose(done.head[:, 1], done.time, atol=1e-9)
    assert done.header.fps == (20, 1)
    assert done.header.neutral == 2


def test_nothing_is_mixed_across_a_cut():
    given = performance(4)
    cut = replace(given, cut=np.array([0, 0, 1, 0], bool), expression=np.repeat([[0.0], [0.0], [1.0], [1.0]], 52, 1))
    done = conformed(cut, Fraction(120))
    assert set(np.unique(done.expression)) == {0.0, 1.0}
    assert done.cut.sum() == 1
    assert (done.expression[np.argmax(done.cut) :] == 1).all()


def test_one_frame_conforms():
    assert len(conformed(performance(1), Fraction(24))) == 1


def test_a_performance_starts_from_what_the_portrait_shows():
    given = performance(3)
    names = ("jawOpen", "another", "browInnerUp")
    base = HeadParameters.from_arrays(expression=[0.5, 0.2])
    done = parameters_of(given, names, base)
    expected = 0.5 + 0.5 * given.action("jawOpen")[1]
    assert np.allclose(done[1].expression, (expected, 0.2, given.action("browInnerUp")[1]))
    assert np.allclose(done[1].joint_rotations[NECK], given.head[1], atol=1e-6)
    assert np.allclose(done[1].joint_rotations[3:], given.gaze[1], atol=1e-6)
    assert done[1].translation == (0, 0, 0)
    assert np.allclose(parameters_of(given, names, base, still=False)[1].translation, given.translation[1])


def test_eyes_look_where_the_actions_say():
    actions = {"eyeLookUpLeft": np.ones(1), "eyeLookOutLeft": np.ones(1), "eyeLookInRight": np.ones(1)}
    left, right = gaze_of(actions)[0]
    # Up is a turn about -x; to the person's left one about +y.
    assert np.allclose(left, (-LOOK_ANGLES["Up"], LOOK_ANGLES["Out"], 0))
    assert np.allclose(right, (0, LOOK_ANGLES["In"], 0))
