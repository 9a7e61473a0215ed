"""Figure 6: a person turned by half a circle, with true views; and how well views and frames agree with one another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from backend.avatars.base import RenderedView
from backend.avatars.posing import pixels_before
from backend.avatars.relief import ReliefAvatar, register_relief
from backend.evaluation.measures import Measures, Tally
from backend.evaluation.metrics import psnr
from backend.evaluation.regions import regions_of
from backend.evaluation.tables import REFINED, pairs_of
from backend.evaluation.views import over_grey, with_color
from backend.pipeline.temporal import sample
from backend.protocol.camera import Camera
from backend.refiner import Refiner
from backend.training.synthetic.alignment import align
from backend.training.synthetic.figure import build_figure
from backend.training.synthetic.materials import Looks
from backend.training.synthetic.pairs import orbit, reference_image, true_camera
from backend.training.synthetic.portrait import take_photo
from backend.training.synthetic.rendering import Picture, render
from backend.training.synthetic.traits import draw_traits
from flame import HeadModel

YAWS = (-90, -60, -30, 0, 30, 60, 90)
"""Degrees (paper, section 4.3)."""
SAME_PICTURE = 30.0
"""dB; the portraits of two people, cut alike, do not come near it."""
ORBIT = 30.0
"""Degrees to either side of a moving camera."""
MARGIN = 3
"""Pixels at outlines that are left out: there a pixel shows two things."""


@dataclass(frozen=True)
class Turned:
    """A synthetic person at `YAWS`.

    Attributes:
        avatar: registered from the person's photo.
        cameras: one per yaw, over head space, at the refiner's size.
        truth: what they truly see.
        reference: (S, S, 4) uint8.
    """

    seed: int
    avatar: ReliefAvatar
    cameras: list[Camera]
    truth: list[Picture]
    reference: np.ndarray


def turn(seed: int, model: HeadModel, size: int) -> Turned:
    """Make the person of a seed again, as the corpus did, and look at it from all sides.

    Raises:
        TrackingError: no face is found in the photo.
    """
    figure = build_figure(draw_traits(seed, model), model)
    looks = Looks(figure)
    photo = take_photo(figure, looks)
    avatar = register_relief(photo.data, model)
    aligned = align(figure, true_camera(photo, avatar), avatar.tracked)
    cameras = [_camera(avatar, yaw, size) for yaw in YAWS]
    truth = [render(aligned, looks, camera) for camera in cameras]
    return Turned(seed, avatar, cameras, truth, reference_image(avatar, size))


def is_the_person(person: Turned, reference: np.ndarray) -> bool:
    """Whether a person made again is the one of a shard's reference (S, S, 4), and not that of another synthesis."""
    inside = (reference[..., 3] > 250) & (person.reference[..., 3] > 250)
    return bool(inside.any()) and psnr(person.reference[..., :3], reference[..., :3], inside) > SAME_PICTURE


def measure_rotation(refiner: Refiner, people: Sequence[Turned], measures: Measures) -> dict[int, Tally]:
    """Yaw to the measures of raw and refined views of all people; pairs of neighbours are refined together."""
    tallies = {yaw: Tally(measures) for yaw in YAWS}
    for person in people:
        raw, refined = views_at(refiner, person, person.cameras)
        portrait = measures.embedding(over_grey(person.reference))
        for yaw, view, color, truth in zip(YAWS, raw, refined, person.truth, strict=True):
            rgba, head = (np.clip(np.rint(255 * x), 0, 255).astype(np.uint8) for x in (truth.rgba, truth.head))
            masks = regions_of(view.rgba[..., 3], rgba[..., 3], head, view.confidence)
            pictures = {"raw": over_grey(view.rgba), REFINED: over_grey(with_color(view.rgba, color))}
            tallies[yaw].add(pictures, over_grey(rgba), masks, portrait)
    return tallies


def views_at(
    refiner: Refiner, person: Turned, cameras: Sequence[Camera]
) -> tuple[list[RenderedView], list[np.ndarray]]:
    """Raw views, and their refined colours (S, S, 3) uint8, in pairs."""
    raw = person.avatar.render(cameras, person.avatar.tracked.parameters)
    state = refiner.encode_reference(person.reference)
    return raw, [color for pair in pairs_of(raw) for color in refiner.refine(pair, state, seed=person.seed)]


@dataclass(frozen=True)
class Agreement:
    """Mean difference, levels of 255, between a view and another warped onto it by the depth, where both see a point.

    Attributes:
        raw, refined: of the views themselves.
        pairs: how many were compared.
    """

    raw: float
    refined: float
    pairs: int


def measure_agreement(refiner: Refiner, person: Turned, cameras: Sequence[Camera]) -> Agreement:
    """Each view against the one before it: consistency across views, or the flicker of an orbit."""
    raw, refined = views_at(refiner, person, cameras)
    kinds = {"raw": [view.rgba[..., :3] for view in raw], "refined": refined}
    found: dict[str, list[float]] = {name: [] for name in kinds}
    for k in range(1, len(raw)):
        pixels, known = _known(person.avatar, (cameras[k], cameras[k - 1]), (raw[k], raw[k - 1]))
        if not known.any():
            continue
        for name, images in kinds.items():
            warped = sample(images[k - 1].astype(np.float32), pixels)
            found[name].append(float(np.abs(images[k][known] - warped[known]).mean()))
    means = {name: float(np.mean(values)) if values else float("nan") for name, values in found.items()}
    return Agreement(pairs=len(found["raw"]), **means)


def orbit_cameras(person: Turned, frames: int) -> list[Camera]:
    """A camera that swings from one side to the other in so many frames."""
    size = person.cameras[0].width
    return [_camera(person.avatar, yaw, size) for yaw in np.linspace(-ORBIT, ORBIT, frames)]


def _camera(avatar: ReliefAvatar, yaw: float, size: int) -> Camera:
    camera = avatar.tracked.camera
    return orbit(camera, avatar.tracked.vertices.mean(0), yaw, 0).crop(0, 0, camera.width, size)


def _known(
    avatar: ReliefAvatar, cameras: tuple[Camera, Camera], views: tuple[RenderedView, RenderedView]
) -> tuple[np.ndarray, np.ndarray]:
    """Where the first view's pixels are in the second, (S, S, 2), and whether both see them, away from outlines."""
    parameters = avatar.tracked.parameters
    pixels, seen = pixels_before(avatar.mesh(), (cameras[0], parameters), (cameras[1], parameters), views[1].depth)
    inside, inside_before = (_inside(view) for view in views)
    return pixels, inside & seen & (sample(inside_before.astype(np.float32), pixels) > 0.99)


def _inside(view: RenderedView) -> np.ndarray:
    solid = (view.rgba[..., 3] == 255).astype(np.uint8)
    return cv2.erode(solid, np.ones((2 * MARGIN + 1,) * 2, np.uint8)) > 0


def sheet(refiner: Refiner, person: Turned) -> np.ndarray:
    """Raw above refined above true views at `YAWS`, (3 S, 7 S, 3) uint8."""
    raw, refined = views_at(refiner, person, person.cameras)
    rows = (
        [over_grey(view.rgba) for view in raw],
        [over_grey(with_color(view.rgba, color)) for view, color in zip(raw, refined, strict=True)],
        [over_grey(np.clip(np.rint(255 * truth.rgba), 0, 255)) for truth in person.truth],
    )
    return np.vstack([np.hstack(row) for row in rows]).astype(np.uint8)
