"""ARKit's 52 facial actions by name, the regions of the face that they move, and its way to say a gaze."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

ACTIONS = (
    "eyeBlinkLeft", "eyeLookDownLeft", "eyeLookInLeft", "eyeLookOutLeft", "eyeLookUpLeft", "eyeSquintLeft",
    "eyeWideLeft", "eyeBlinkRight", "eyeLookDownRight", "eyeLookInRight", "eyeLookOutRight", "eyeLookUpRight",
    "eyeSquintRight", "eyeWideRight", "jawForward", "jawLeft", "jawRight", "jawOpen", "mouthClose", "mouthFunnel",
    "mouthPucker", "mouthLeft", "mouthRight", "mouthSmileLeft", "mouthSmileRight", "mouthFrownLeft", "mouthFrownRight",
    "mouthDimpleLeft", "mouthDimpleRight", "mouthStretchLeft", "mouthStretchRight", "mouthRollLower",
    "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper", "mouthPressLeft", "mouthPressRight", "mouthLowerDownLeft",
    "mouthLowerDownRight", "mouthUpperUpLeft", "mouthUpperUpRight", "browDownLeft", "browDownRight", "browInnerUp",
    "browOuterUpLeft", "browOuterUpRight", "cheekPuff", "cheekSquintLeft", "cheekSquintRight", "noseSneerLeft",
    "noseSneerRight", "tongueOut",
)  # fmt: skip
"""In the order of Apple's `ARFaceAnchor.BlendShapeLocation`; left is the person's own left."""

REGIONS = ("brows", "lids", "mouth", "head", "gaze")
"""What a performance can be made stronger or weaker in: facial actions, and the two that turn."""

LOOK_ANGLES = {"Up": np.radians(13.0), "Down": np.radians(21.0), "In": np.radians(27.0), "Out": np.radians(26.0)}
"""Radians that an eye of the open head turns at a whole eyeLook action."""


def region_of(action: str) -> str:
    """Which of `REGIONS` an action belongs to; cheeks, nose, jaw and tongue move with the mouth."""
    if action.startswith("brow"):
        return "brows"
    if action.startswith("eyeLook"):
        return "gaze"
    return "lids" if action.startswith("eye") else "mouth"


def gaze_of(actions: Mapping[str, np.ndarray]) -> np.ndarray:
    """What the eyeLook actions say as rotations.

    Args:
        actions: (N,) values by name; what is missing is zero.

    Returns:
        (N, 2, 3) axis-angle of the left and the right eye, radians, in head space.
    """
    number = len(next(iter(actions.values()), ()))
    gaze = np.zeros((number, 2, 3))
    for eye, (side, outward) in enumerate((("Left", 1), ("Right", -1))):
        look = {way: actions.get(f"eyeLook{way}{side}", 0.0) * angle for way, angle in LOOK_ANGLES.items()}
        gaze[:, eye, 0] = look["Down"] - look["Up"]
        gaze[:, eye, 1] = outward * (look["Out"] - look["In"])
    return gaze
