"""What the photo does not show of a mouth: teeth behind the lips, and lips that close."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backend.tracking import TrackedPortrait
from backend.tracking.landmarks import LOWER_INNER_LIP, UPPER_INNER_LIP
from flame import HeadModel

LEFT_CORNER, RIGHT_CORNER, UPPER_MIDDLE, LOWER_MIDDLE = 308, 78, 13, 14
LIP_RING = (RIGHT_CORNER, *UPPER_INNER_LIP, LEFT_CORNER, *LOWER_INNER_LIP[::-1])
OPEN_RATIO = 0.08
"""Lip gap over mouth width from which the photo shows teeth."""
TEETH_COLOR = (196, 184, 172)
TEETH_BEHIND_LIPS = 0.004
DENTAL_ARCH = 0.012
"""Metres that the teeth curve back from the middle to the corners."""


@dataclass(frozen=True)
class Teeth:
    """A patch of teeth behind the lips: points (n, 3) in camera space, faces, where in the photo, and its colour."""

    points: np.ndarray
    faces: np.ndarray
    pixels: np.ndarray
    color: np.ndarray
    from_photo: bool


def build_teeth(tracked: TrackedPortrait, model: HeadModel, points: np.ndarray, brightness: float) -> Teeth:
    """Teeth from the photo where the mouth is open in it, else plain ones that the lips hide.

    Args:
        points: (V, 3) the fitted mesh in camera space.
        brightness: mean of the face's pixels, 0..255, to which plain teeth are matched.
    """
    lips = model.landmark_positions(points)
    ring = lips[list(LIP_RING)]
    centre = ring.mean(0)
    half_width = np.linalg.norm(lips[LEFT_CORNER] - lips[RIGHT_CORNER]) / 2
    found = tracked.landmarks[:, :2].astype(float)
    gap = np.linalg.norm(found[UPPER_MIDDLE] - found[LOWER_MIDDLE])
    from_photo = gap > OPEN_RATIO * np.linalg.norm(found[LEFT_CORNER] - found[RIGHT_CORNER])
    if from_photo:
        rings = [centre + (ring - centre) * 0.92, centre + (ring - centre) * [1.15, 1.7, 1]]
    else:
        angle = np.linspace(0, 2 * np.pi, len(LIP_RING), endpoint=False)
        oval = np.stack([-0.8 * half_width * np.cos(angle), -0.007 * np.sin(angle), np.zeros_like(angle)], 1)
        rings = [centre + 0.6 * oval + [0, -0.0045, 0], centre + oval + [0, -0.0045, 0]]
    points = np.concatenate([rings[0].mean(0)[None], *rings])
    arch = ((points[:, 0] - centre[0]) / (1.2 * half_width)) ** 2
    points[:, 2] = centre[2] + TEETH_BEHIND_LIPS + DENTAL_ARCH * arch
    pixels = points @ tracked.camera.intrinsics.T
    pixels = pixels[:, :2] / pixels[:, 2:]
    # Beyond the opening of the photo there is lip, so its last teeth are continued.
    count = len(LIP_RING)
    pixels[1 + count :] = pixels[1 : 1 + count]
    color = np.array(TEETH_COLOR) * np.clip(brightness / 170, 0.4, 1.15)
    return Teeth(points, _disc(count), pixels, np.clip(np.tile(color, (len(points), 1)), 0, 255), bool(from_photo))


def _disc(count: int) -> np.ndarray:
    """Faces of a fan round vertex 0 to a ring of `count`, and of a band from it to a second ring."""
    here = np.arange(count)
    after = (here + 1) % count
    fan = np.stack([np.zeros_like(here), 1 + after, 1 + here], 1)
    band = [
        np.stack([1 + here, 1 + after, 1 + count + here], 1),
        np.stack([1 + after, 1 + count + after, 1 + count + here], 1),
    ]
    return np.concatenate([fan, *band]).astype(np.int32)


def lip_seal(model: HeadModel, neutral: np.ndarray, drawn: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Offsets (V, 3) that close the gap which taking the fitted expression out leaves between the lips.

    Args:
        neutral: (V, 3) the mesh without its expression, metres.
        drawn: (V,) bool, vertices that may move.
        up: (3,) unit vector from chin to brow.
    """
    lips = model.landmark_positions(neutral)
    pairs = [(82, 87), (81, 178), (80, 88), (13, 14), (312, 317), (311, 402), (310, 318)]
    upper, lower = lips[[a for a, _ in pairs]], lips[[b for _, b in pairs]]
    gap = np.clip((upper - lower) @ up, 0, None)[:, None] * up
    opening = np.linalg.norm(model.expressiondirs[:, :, _jaw_open(model)], axis=1)
    near_lower_lip = np.linalg.norm(neutral - lips[LOWER_MIDDLE], axis=1) < 0.01
    follows_jaw = opening > 0.25 * opening[near_lower_lip].max()
    seal = np.zeros_like(neutral)
    for edge, shift, member in ((upper, -gap / 2, ~follows_jaw), (lower, gap / 2, follows_jaw)):
        offsets = np.linalg.norm(neutral[:, None] - edge[None], axis=2)
        nearest = offsets.min(1)
        moved = member & drawn & (nearest < 0.03)
        kernel = np.exp(-(offsets[moved] ** 2) / (2 * 0.006**2))
        blend = kernel @ shift / (kernel.sum(1, keepdims=True) + 1e-9)
        seal[moved] = blend * np.exp(-((nearest[moved] / 0.012) ** 2))[:, None]
    return seal


def _jaw_open(model: HeadModel) -> int:
    """The expression that parts the lips most."""
    if "jawOpen" in model.expression_names:
        return model.expression_names.index("jawOpen")
    bases = model.landmark_positions(model.expressiondirs.reshape(len(model.v_template), -1))
    upper, lower = bases[[UPPER_MIDDLE, LOWER_MIDDLE]].reshape(2, 3, -1)
    return int(np.argmax(np.linalg.norm(upper - lower, axis=0)))


def mouth_share(model: HeadModel, expression: np.ndarray) -> np.ndarray:
    """Row a of (E,) with a . expression = 1 over the mouth's part of the expression; zero where it is at rest.

    The seal is taken off in that proportion, so that the portrait's own expression is kept as photographed.
    """
    names = model.expression_names
    of_mouth = np.array([n.startswith(("jaw", "mouth", "cheekPuff")) or n.startswith("expression") for n in names])
    share = np.where(of_mouth, expression, 0)
    total = share @ share
    return share / total if total > 1e-6 else np.zeros_like(share)
