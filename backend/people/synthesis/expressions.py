"""What the head does in a view: the facial actions combined as faces do, gaze, and the pose of the neck."""

from __future__ import annotations

import numpy as np

from backend.protocol.head_parameters import HeadParameters
from flame import HeadModel

PLAYS: dict[str, dict[str, tuple[float, float]]] = {
    "calm": {},
    "smile": {"mouthSmile": (0.3, 0.8), "cheekSquint": (0.1, 0.5), "eyeSquint": (0, 0.3), "mouthDimple": (0, 0.3)},
    "open smile": {"mouthSmile": (0.5, 0.9), "mouthUpperUp": (0.1, 0.4), "mouthLowerDown": (0.05, 0.3),
                   "jawOpen": (0.02, 0.12), "cheekSquint": (0.3, 0.7), "eyeSquint": (0.1, 0.4)},
    "laugh": {"mouthSmile": (0.6, 1), "jawOpen": (0.2, 0.5), "mouthUpperUp": (0.1, 0.4), "eyeSquint": (0.3, 0.7),
              "cheekSquint": (0.5, 1)},
    "surprise": {"browInnerUp": (0.5, 1), "browOuterUp": (0.4, 1), "eyeWide": (0.4, 1), "jawOpen": (0.1, 0.5)},
    "anger": {"browDown": (0.5, 1), "noseSneer": (0.1, 0.6), "mouthPress": (0.2, 0.7), "eyeSquint": (0.1, 0.5),
              "jawForward": (0, 0.4)},
    "sadness": {"browInnerUp": (0.4, 0.9), "mouthFrown": (0.3, 0.8), "mouthShrugLower": (0.1, 0.5),
                "mouthRollLower": (0, 0.3)},
    "disgust": {"noseSneer": (0.4, 0.9), "mouthUpperUp": (0.2, 0.6), "browDown": (0.2, 0.5)},
    "fear": {"mouthStretch": (0.3, 0.8), "browInnerUp": (0.4, 0.9), "eyeWide": (0.3, 0.8), "jawOpen": (0, 0.2)},
    "kiss": {"mouthPucker": (0.5, 1)},
    "oh": {"mouthFunnel": (0.4, 0.9), "jawOpen": (0.15, 0.45)},
    "ah": {"jawOpen": (0.2, 0.6), "mouthLowerDown": (0.1, 0.4)},
    "ee": {"mouthStretch": (0.2, 0.6), "mouthSmile": (0.1, 0.3), "jawOpen": (0.05, 0.15), "mouthLowerDown": (0.2, 0.5)},
    "mm": {"mouthRollUpper": (0.2, 0.6), "mouthRollLower": (0.2, 0.6), "mouthPress": (0.1, 0.5)},
    "doubt": {"browOuterUpLeft": (0.4, 0.9), "browDownRight": (0.2, 0.6), "mouthLeft": (0.1, 0.5)},
    "smirk": {"mouthSmileRight": (0.3, 0.8), "mouthDimpleRight": (0.2, 0.6), "mouthRight": (0.05, 0.3)},
    "puff": {"cheekPuff": (0.5, 1), "mouthPress": (0.1, 0.4)},
    "shrug": {"mouthShrugUpper": (0.3, 0.7), "mouthShrugLower": (0.4, 0.9), "browInnerUp": (0.1, 0.5)},
    "blink": {"eyeBlink": (0.7, 1)},
    "wink": {"eyeBlinkLeft": (0.8, 1), "cheekSquintLeft": (0.3, 0.8), "mouthSmileLeft": (0.2, 0.6)},
    "chew": {"jawLeft": (0.1, 0.5), "mouthClose": (0.05, 0.15), "jawOpen": (0.05, 0.15)},
    "tongue": {"tongueOut": (0.5, 1), "jawOpen": (0.25, 0.5)},
}  # fmt: skip
"""Combinations that occur, by ARKit's names; one without its Left or Right means both sides, nearly alike."""
PORTRAIT_PLAYS = ("calm", "calm", "smile", "smile", "open smile")
ASIDE = 0.4
"""Chance of one more action outside of portraits, any of them, up to a third of its range: so that all are seen."""
MOST_GAZE = np.radians([14.0, 22.0])
"""Up or down, and to a side."""


def draw_performance(rng: np.random.Generator, model: HeadModel, portrait: bool) -> tuple[str, HeadParameters]:
    """A play's name and the head's parameters; a portrait's is calm or smiling, looking near the camera."""
    play = str(rng.choice(PORTRAIT_PLAYS if portrait else list(PLAYS)))
    expression = draw_expression(rng, model, play)
    pose = np.zeros((5, 3))
    if portrait:
        pose[1] = np.radians(rng.uniform(-2, 2, 3))
        gaze = rng.normal(0, 0.02, 2)
    else:
        pose[1] = np.radians(rng.uniform(-1, 1, 3) * [12, 18, 8])
        gaze = rng.uniform(-1, 1, 2) * MOST_GAZE * rng.random()
    if play == "ah" and rng.random() < 0.5:
        pose[2, 0] = rng.uniform(0.03, 0.12)
    pose[3:, :2] = gaze
    return play, HeadParameters.from_arrays(pose, expression)


def draw_expression(rng: np.random.Generator, model: HeadModel, play: str) -> np.ndarray:
    """(E,) coefficients of a play; for models without ARKit's names small random ones."""
    names = {name: k for k, name in enumerate(model.expression_names)}
    expression = np.zeros(model.num_expression, np.float32)
    if "jawOpen" not in names:
        expression[:10] = rng.normal(0, 0.6, min(10, len(expression)))
        return expression
    if play not in PORTRAIT_PLAYS and rng.random() < ASIDE:
        expression[rng.integers(len(expression))] = rng.uniform(0, 0.33)
    for action, (low, high) in PLAYS[play].items():
        value = rng.uniform(low, high)
        for name in (action, f"{action}Left", f"{action}Right"):
            if name in names:
                expression[names[name]] = np.clip(value * rng.uniform(0.85, 1.1), 0, 1)
    return expression
