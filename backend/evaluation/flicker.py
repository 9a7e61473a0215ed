"""How steady refined sequences are: what changes between frames besides the motion, and how sharp the frames are."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from backend.evaluation.warping import change, comparable, solid
from backend.geometry.posing import pixels_before
from backend.pipeline import Pipeline, Registration
from backend.pipeline.temporal import refine_in_order
from backend.pipeline.view_sets import Crops, ViewSet
from backend.protocol.head_parameters import HeadParameters
from backend.protocol.rigged_mesh import RiggedMesh

FRAMES = 24
TURN, NOD, JAW_OPEN = np.radians(25), np.radians(8), "jawOpen"


@dataclass(frozen=True)
class Steadiness:
    """Means over a sequence, inside the head.

    Attributes:
        flicker: |frame - frame before, moved as the surface moved|, levels of 255.
        sharpness: length of the brightness gradient, levels per pixel.
        seconds: per frame.
    """

    flicker: float
    sharpness: float
    seconds: float


def measure(
    pipeline: Pipeline, registration: Registration, preset: str, noise_level: float, frames: int
) -> dict[str, Steadiness]:
    """All ways over the same sequence."""
    view_sets = sequence(pipeline, registration, frames)
    refiner = pipeline.refiner(preset)
    results = {}
    share = registration.share_of_change(preset)

    def shown(refined: list[tuple[Crops, list[np.ndarray]]]) -> list[np.ndarray]:
        """As frames show them."""
        return [raw[k] + share * (images[0] - raw[k].astype(np.float32)) for k, (_, images) in enumerate(refined)]

    started = time.perf_counter()
    crops = [Crops.of(view_set, refiner.size) for view_set in view_sets]
    raw = [crop.views[0].rgba[..., :3] for crop in crops]
    results["raw"] = steadiness(crops, raw, time.perf_counter() - started)
    alone, in_order = [], []
    refine_in_order(refiner, view_sets[:2], preset, noise_level)  # Compiles and fills caches.
    started = time.perf_counter()
    for view_set in view_sets:
        alone += refine_in_order(refiner, [view_set], preset, noise_level)
    results["refined"] = steadiness(crops, shown(alone), time.perf_counter() - started)
    started = time.perf_counter()
    in_order = refine_in_order(refiner, view_sets, preset, noise_level)
    spent = time.perf_counter() - started
    results["refined_with_the_frame_before"] = steadiness(crops, shown(in_order), spent)
    return results


def sequence(pipeline: Pipeline, registration: Registration, frames: int) -> list[ViewSet]:
    """A head that turns, nods and opens its mouth before the portrait's camera."""
    tracked, mesh = registration.avatar.tracked, _mesh_of(registration)
    camera = tracked.camera.crop(0, 0, tracked.camera.width, 256)
    view_sets = []
    for share in np.linspace(0, 1, frames):
        pose = np.zeros((5, 3))
        pose[1] = NOD * np.sin(2 * np.pi * share), TURN * (2 * share - 1), 0
        expression = np.zeros(len(mesh.expression_names))
        known = np.array(tracked.parameters.expression)
        expression[: len(known)] = known
        if JAW_OPEN in mesh.expression_names:
            expression[mesh.expression_names.index(JAW_OPEN)] += 0.5 * np.sin(np.pi * share) ** 2
        parameters = HeadParameters.from_arrays(pose, expression)
        raw = pipeline.render_raw(registration, [camera], parameters)
        view_sets.append(ViewSet(registration, (camera,), parameters, tuple(raw)))
    return view_sets


def _mesh_of(registration: Registration) -> RiggedMesh:
    """The avatar's mesh; ValueError where it has none."""
    mesh = registration.avatar.mesh()
    if mesh is None:
        raise ValueError("flicker is measured on avatars with a mesh")
    return mesh


def steadiness(crops: Sequence[Crops], images: Sequence[np.ndarray], seconds: float) -> Steadiness:
    """Measure pictures (S, S, 3) of a sequence's crops."""
    changes, gradients = [], []
    for number, (crop, image) in enumerate(zip(crops, images, strict=True)):
        inside = solid(crop.views[0])
        gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
        slope = np.hypot(cv2.Sobel(gray, -1, 1, 0, scale=1 / 8), cv2.Sobel(gray, -1, 0, 1, scale=1 / 8))
        gradients.append(slope[inside].mean())
        if number:
            before = crops[number - 1]
            pixels, seen = pixels_before(
                _mesh_of(crop.view_set.registration),
                (crop.cameras[0], crop.view_set.parameters),
                (before.cameras[0], before.view_set.parameters),
                before.views[0].depth,
            )
            known = comparable(pixels, seen, inside, solid(before.views[0]))
            changes.append(change(image, images[number - 1], pixels, known))
    return Steadiness(float(np.mean(changes)), float(np.mean(gradients)), seconds / len(images))
