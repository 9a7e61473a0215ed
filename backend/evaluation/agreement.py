"""How well views agree with one another: flicker along an orbit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from backend.evaluation.subject import Subject
from backend.evaluation.warping import change, comparable, solid
from backend.geometry.posing import draw, posed_vertices, surface_before
from backend.protocol.camera import Camera
from backend.refiner import Refiner

ORBIT = 30.0
"""Degrees to either side of a moving camera."""


@dataclass(frozen=True)
class Agreement:
    """Mean difference, levels of 255, between a view and the one before it, warped onto it, where both see a point.

    Attributes:
        difference: by kind of picture.
        pairs: how many were compared.
    """

    difference: dict[str, float]
    pairs: int

    @property
    def ratio(self) -> float:
        """Refined to raw."""
        return self.difference["refined"] / self.difference["raw"]


def measure_agreement(
    cameras: Sequence[Camera],
    surface: tuple[np.ndarray, np.ndarray],
    kinds: Mapping[str, Sequence[np.ndarray]],
    inside: Sequence[np.ndarray],
) -> Agreement:
    """Compare each view with the one before.

    Args:
        surface: vertices (N, 3) in head space and faces, whose depth says where a point of one view is in another.
        kinds: pictures (S, S, 3) of each camera.
        inside: masks (S, S) bool of each camera.
    """
    vertices, faces = surface
    depths = [draw(faces, camera, vertices).depth for camera in cameras]
    found: dict[str, list[float]] = {name: [] for name in kinds}
    pairs = 0
    for k in range(1, len(cameras)):
        pixels, seen = surface_before(faces, (cameras[k], vertices), (cameras[k - 1], vertices), depths[k - 1])
        known = comparable(pixels, seen, inside[k], inside[k - 1])
        if not known.any():
            continue
        pairs += 1
        for name, images in kinds.items():
            found[name].append(change(images[k], images[k - 1], pixels, known))
    means = {name: float(np.mean(values)) if values else float("nan") for name, values in found.items()}
    return Agreement(means, pairs)


def measure_flicker(refiner: Refiner, subject: Subject, frames: int) -> Agreement:
    """A camera that swings from one side to the other; each frame refined alone, as in use, and warped by the avatar's
    own surface."""
    cameras = subject.cameras(np.linspace(-ORBIT, ORBIT, frames).tolist())
    raw, refined = subject.views(refiner, cameras, together=1)
    avatar = subject.avatar
    surface = posed_vertices(avatar.mesh(), avatar.tracked.parameters), avatar.mesh().faces
    kinds = {"raw": [view.rgba[..., :3] for view in raw], "refined": refined}
    return measure_agreement(cameras, surface, kinds, [solid(view) for view in raw])
