"""ARKit's actions on a head model with components of its own, as FLAME's files have them."""

from dataclasses import replace

import numpy as np
import pytest

from backend.protocol.arkit import ACTIONS
from backend.tracking.actions import actions_on, lacks_actions
from backend.tracking.embedding import with_landmarks

COMPONENTS = 60


@pytest.fixture(scope="module")
def other(open_head):
    """A larger head of another person whose expressions are mixtures without meaning; only its jaw opens the mouth."""
    rng = np.random.default_rng(0)
    model = with_landmarks(open_head)
    kept = [k for k, name in enumerate(model.expression_names) if name != "jawOpen"]
    mixing = rng.normal(0, 0.3, (len(kept), COMPONENTS))
    betas = rng.normal(0, 0.7, 20)
    return replace(
        model,
        v_template=1.1 * model.rest_vertices(betas),
        expressiondirs=(1.1 * model.expressiondirs[:, :, kept] @ mixing).astype(np.float32),
        expression_names=tuple(f"expression_{k:03}" for k in range(COMPONENTS)),
        expression_range=np.tile(np.float32([-3, 3]), (COMPONENTS, 1)),
    )


def moved(model, expression, jaw=None) -> np.ndarray:
    """(468, 3) metres that the landmarks go."""
    pose = np.zeros((5, 3))
    pose[2] = 0 if jaw is None else jaw
    vertices = model.forward(expression=expression, pose=pose).vertices - model.forward().vertices
    return model.landmark_positions(vertices)[:468]


@pytest.mark.parametrize(
    ("action", "most"),
    [("mouthSmileLeft", 0.25), ("browInnerUp", 0.25), ("mouthPucker", 0.25), ("eyeBlinkRight", 0.35), ("jawOpen", 0.4)],
)
def test_an_action_moves_the_other_head_alike(open_head, other, action, most):
    model = with_landmarks(open_head)
    row = actions_on(other)[ACTIONS.index(action)]
    wanted = 1.1 * moved(model, np.eye(52)[model.expression_names.index(action)])
    found = moved(other, row[:-3], row[-3:])
    assert np.linalg.norm(found - wanted) < most * np.linalg.norm(wanted)


def test_the_jaw_opens_the_mouth_and_eyes_are_left_to_the_gaze(other):
    found = actions_on(other)
    assert found.shape == (52, COMPONENTS + 3)
    assert 0.1 < found[ACTIONS.index("jawOpen"), -3] < 0.6
    assert np.abs(found[:, -3:]).max() == pytest.approx(found[ACTIONS.index("jawOpen"), -3], abs=0.1)
    assert not found[[ACTIONS.index(name) for name in ("eyeLookUpLeft", "eyeLookInRight", "tongueOut")]].any()


def test_which_heads_lack_them(open_head, other):
    assert lacks_actions(other.expression_names)
    assert not lacks_actions(open_head.expression_names)
