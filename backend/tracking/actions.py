"""ARKit's actions on a head model that has others: what of its own expressions and of its jaw comes nearest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from backend.protocol.arkit import ACTIONS
from backend.protocol.head_parameters import JOINTS
from backend.tracking.embedding import with_landmarks
from flame import HeadModel, load_head_model

MESH = 468
JAW = JOINTS.index("jaw")
JAW_STEP = 0.15
"""Radians of the jaw by which its effect is measured: a mouth that is half open."""
NOISE = 3e-3
"""Metres (standard deviation) by which two heads' landmarks, which err together, fail to correspond."""
USUAL, USUAL_JAW = 2.0, 0.3
"""How large coefficients (standard deviations) and turns of the jaw (radians) are for a whole action."""


def lacks_actions(names: Sequence[str]) -> bool:
    """None of a head model's expressions, by their names, is one of ARKit's."""
    return not set(names) & set(ACTIONS)


def actions_on(model: HeadModel) -> np.ndarray:
    """Each action by least squares over the landmarks: where they go on the open head, this head shall have them go.

    Args:
        model: any head; its landmarks are found where it has none (a few seconds, kept by file).

    Returns:
        (52, E + 3) float32: for each of `ACTIONS` at its full the coefficients of the model's expressions and the
        axis-angle of its jaw. What eyes look at and the tongue are 0.

    Raises:
        ValueError: no face is seen in the rendered model.
    """
    model, shown = with_landmarks(model), with_landmarks(load_head_model())
    places, shown_places = (each.landmark_positions(each.v_template)[:MESH].astype(float) for each in (model, shown))
    weight = np.minimum(_weight(model), _weight(shown))
    size = _spread(places, weight) / _spread(shown_places, weight)
    own = np.moveaxis(model.expressiondirs, 2, 0)
    moves = [model.landmark_positions(each)[:MESH] for each in own] + [_jaw_move(model, axis) for axis in range(3)]
    wanted = [size * shown.landmark_positions(each)[:MESH] for each in np.moveaxis(shown.expressiondirs, 2, 0)]
    root = np.sqrt(np.repeat(weight, 3))[:, None]
    A, b = (root * np.stack(each).reshape(len(each), -1).T.astype(float) for each in (moves, wanted))
    usual = np.r_[np.full(len(own), USUAL), np.full(3, USUAL_JAW)]
    solved = np.linalg.solve(A.T @ A + np.diag((NOISE / usual) ** 2), A.T @ b).T
    found = dict(zip(shown.expression_names, solved, strict=True))
    still = np.zeros(len(usual))
    untold = ("eyeLook", "tongueOut")
    return np.stack([still if name.startswith(untold) else found[name] for name in ACTIONS]).astype(np.float32)


def _weight(model: HeadModel) -> np.ndarray:
    if model.landmarks is None:
        raise ValueError("the head model has no landmarks: see `with_landmarks`")
    return model.landmarks.weight[:MESH].astype(float)


def _spread(places: np.ndarray, weight: np.ndarray) -> float:
    """Metres, about the middle (root mean square)."""
    middle = np.average(places, axis=0, weights=weight)
    return float(np.sqrt(np.average(((places - middle) ** 2).sum(1), weights=weight)))


def _jaw_move(model: HeadModel, axis: int) -> np.ndarray:
    """(468, 3) metres that the landmarks go by for a radian of the jaw."""
    pose = np.zeros((5, 3))
    pose[JAW, axis] = JAW_STEP
    moved = model.forward(pose=pose).vertices - model.forward().vertices
    return model.landmark_positions(moved)[:MESH] / JAW_STEP
