"""Figure 6: a person turned by half a circle, with true views; and how well the views agree by the true depth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from backend.avatars.bust import register_bust
from backend.evaluation.agreement import Agreement, measure_agreement
from backend.evaluation.measures import Measures, Tally
from backend.evaluation.metrics import psnr
from backend.evaluation.regions import regions_of
from backend.evaluation.subject import Subject, raw_and_refined
from backend.evaluation.views import over_grey
from backend.evaluation.warping import solid
from backend.people.pairing.reference import reference_image, true_camera
from backend.people.synthesis.traits import draw_traits
from backend.refiner import Refiner
from backend.training.synthetic.alignment import align
from backend.training.synthetic.figure import Figure, build_figure
from backend.training.synthetic.materials import Looks
from backend.training.synthetic.portrait import take_photo
from backend.training.synthetic.rendering import render
from flame import HeadModel

YAWS = (-90, -60, -30, 0, 30, 60, 90)
"""Degrees (paper, section 4.3)."""
SAME_PICTURE = 30.0
"""dB; the portraits of two people, cut alike, do not come near it."""


@dataclass(frozen=True)
class Turned:
    """A synthetic person at `YAWS`.

    Attributes:
        subject: registered from the person's photo.
        figure: the true person in the avatar's head space.
        truth: (7, S, S, 4) uint8, what the subject's cameras truly see; head: (7, S, S) uint8, 255 for head and neck.
    """

    subject: Subject
    figure: Figure
    truth: np.ndarray
    head: np.ndarray


def turn(seed: int, model: HeadModel, size: int) -> Turned:
    """Make the person of a seed again, as the corpus did, and look at it from all sides.

    Raises:
        TrackingError: no face is found in the photo.
    """
    figure = build_figure(draw_traits(seed, model), model)
    looks = Looks(figure)
    photo = take_photo(figure, looks)
    avatar = register_bust(photo.data, model)
    aligned = align(figure, true_camera(photo.camera, avatar), avatar.tracked)
    subject = Subject(avatar, reference_image(avatar, size), seed)
    pictures = [render(aligned, looks, camera) for camera in subject.cameras(YAWS)]
    truth, head = (
        np.clip(np.rint(255 * np.stack(images)), 0, 255).astype(np.uint8)
        for images in ([p.rgba for p in pictures], [p.head for p in pictures])
    )
    return Turned(subject, aligned, truth, head)


def is_the_person(subject: Subject, reference: np.ndarray) -> bool:
    """Whether a person made again is the one of a shard's reference (S, S, 4), and not that of another synthesis."""
    inside = (reference[..., 3] > 250) & (subject.reference[..., 3] > 250)
    return bool(inside.any()) and psnr(subject.reference[..., :3], reference[..., :3], inside) > SAME_PICTURE


@dataclass
class Rotation:
    """What was measured on people at `YAWS`.

    Attributes:
        tallies: the measures of raw and refined views by yaw.
        agreements: of each person's views, 30 degrees apart, by the true depth; "true" of the true views themselves.
        sheets: of each person, (3 S, 7 S, 3) uint8: raw above refined above true views.
    """

    tallies: dict[int, Tally]
    agreements: list[Agreement]
    sheets: list[np.ndarray]


def measure_rotation(refiner: Refiner, people: Sequence[Turned], measures: Measures) -> Rotation:
    """Look at people from all sides; pairs of neighbouring views are refined together."""
    found = Rotation({yaw: Tally(measures) for yaw in YAWS}, [], [])
    for person in people:
        subject, cameras = person.subject, person.subject.cameras(YAWS)
        raw, refined = subject.views(refiner, cameras)
        portrait = measures.embedding(over_grey(subject.reference))
        pictures = [raw_and_refined(view, color) for view, color in zip(raw, refined, strict=True)]
        truth = [over_grey(image) for image in person.truth]
        for k, yaw in enumerate(YAWS):
            masks = regions_of(raw[k].rgba[..., 3], person.truth[k, ..., 3], person.head[k], raw[k].confidence)
            found.tallies[yaw].add(pictures[k], truth[k], masks, portrait)
        kinds = {name: [both[name] for both in pictures] for name in ("raw", "refined")} | {"true": truth}
        surface = person.figure.vertices, person.figure.faces
        inside = [solid(view) & (image[..., 3] == 255) for view, image in zip(raw, person.truth, strict=True)]
        found.agreements.append(measure_agreement(cameras, surface, kinds, inside))
        found.sheets.append(np.vstack([np.hstack(images) for images in kinds.values()]).astype(np.uint8))
    return found
