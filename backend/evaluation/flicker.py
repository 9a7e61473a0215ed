"""How steady refined sequences are: what changes between frames besides the motion, and how sharp the frames are."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from backend.avatars.posing import pixels_before
from backend.evaluation.portraits import real_portraits
from backend.evaluation.warping import change, comparable, solid
from backend.pipeline import Pipeline, Registration
from backend.pipeline.moments import Crops, Moment
from backend.pipeline.temporal import refine_in_order
from backend.protocol.files import write_file
from backend.protocol.head_parameters import HeadParameters

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


def flicker(
    preset: str = typer.Option("compact", help="A refiner preset."),
    noise_level: float = typer.Option(0.1, help="How far the refiner may leave the raw view."),
    frames: int = typer.Option(FRAMES, min=2, help="Length of the sequences."),
    output: Path | None = typer.Option(None, help="Write the figures here as JSON."),
) -> None:
    """Flicker and sharpness of the two real portraits in motion: raw, refined, and refined with the frame before."""
    pipeline = Pipeline()
    figures = {}
    for name, photo in real_portraits().items():
        registration = pipeline.register(photo, "bust", "open_head", lambda *_: None)
        figures[name] = measure(pipeline, registration, preset, noise_level, frames)
    table = Table(title=f"{frames} frames of a turn, a nod and an opening mouth; {preset}, noise level {noise_level}")
    for column in ("portrait", "", "flicker", "sharpness", "ms a frame"):
        table.add_column(column)
    for name, ways in figures.items():
        for way, found in ways.items():
            cells = f"{found.flicker:.3f}", f"{found.sharpness:.3f}", f"{1000 * found.seconds:.0f}"
            table.add_row(name, way.replace("_", " "), *cells)
    Console().print(table)
    if output:
        report = {name: {way: asdict(found) for way, found in ways.items()} for name, ways in figures.items()}
        write_file(output, json.dumps(report, indent=2) + "\n")


def measure(
    pipeline: Pipeline, registration: Registration, preset: str, noise_level: float, frames: int
) -> dict[str, Steadiness]:
    """All ways over the same sequence."""
    moments = sequence(pipeline, registration, frames)
    refiner = pipeline.refiner(preset)
    results = {}
    started = time.perf_counter()
    crops = [Crops.of(moment, refiner.size) for moment in moments]
    raw = [crop.views[0].rgba[..., :3] for crop in crops]
    results["raw"] = steadiness(crops, raw, time.perf_counter() - started)
    alone, in_order = [], []
    refine_in_order(refiner, moments[:2], preset, noise_level)  # Compiles and fills caches.
    started = time.perf_counter()
    for moment in moments:
        alone += refine_in_order(refiner, [moment], preset, noise_level)
    results["refined"] = steadiness(crops, [images[0] for _, images in alone], time.perf_counter() - started)
    started = time.perf_counter()
    in_order = refine_in_order(refiner, moments, preset, noise_level)
    spent = time.perf_counter() - started
    results["refined_with_the_frame_before"] = steadiness(crops, [images[0] for _, images in in_order], spent)
    return results


def sequence(pipeline: Pipeline, registration: Registration, frames: int) -> list[Moment]:
    """A head that turns, nods and opens its mouth before the portrait's camera."""
    tracked, mesh = registration.avatar.tracked, registration.avatar.mesh()
    camera = tracked.camera.crop(0, 0, tracked.camera.width, 256)
    moments = []
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
        moments.append(Moment(registration, (camera,), parameters, tuple(raw)))
    return moments


def steadiness(crops: Sequence[Crops], images: Sequence[np.ndarray], seconds: float) -> Steadiness:
    """Measure pictures (S, S, 3) uint8 of a sequence's crops."""
    changes, gradients = [], []
    for number, (crop, image) in enumerate(zip(crops, images, strict=True)):
        inside = solid(crop.views[0])
        gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
        slope = np.hypot(cv2.Sobel(gray, -1, 1, 0, scale=1 / 8), cv2.Sobel(gray, -1, 0, 1, scale=1 / 8))
        gradients.append(slope[inside].mean())
        if number:
            before = crops[number - 1]
            pixels, seen = pixels_before(
                crop.moment.registration.avatar.mesh(),
                (crop.cameras[0], crop.moment.parameters),
                (before.cameras[0], before.moment.parameters),
                before.views[0].depth,
            )
            known = comparable(pixels, seen, inside, solid(before.views[0]))
            changes.append(change(image, images[number - 1], pixels, known))
    return Steadiness(float(np.mean(changes)), float(np.mean(gradients)), seconds / len(images))
