"""Real portraits: their own view against the photo, likeness from the sides, and pictures to look at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backend.avatars.base import RenderedView
from backend.evaluation.measures import Measures, Tally
from backend.evaluation.regions import CONFIDENT
from backend.evaluation.subject import Subject, raw_and_refined
from backend.protocol.pictures import over_grey
from backend.refiner import Refiner

YAWS = (-35, -20, 0, 20, 35)


@dataclass
class PortraitReport:
    """What was measured on one portrait; every view was refined alone, as a single camera's is in use.

    Attributes:
        frontal: region ("inside", "confident", "doubtful") -> "raw" and "refined" -> measure -> value, of the
            portrait's own view against the photo, inside the matte.
        likeness: yaw -> "raw" and "refined" -> cosine with the portrait; without yaws at which no face was found.
        sheet: (2 S, 5 S, 3) uint8, raw above refined at `YAWS`.
    """

    frontal: dict[str, dict[str, dict[str, float]]]
    likeness: dict[str, dict[str, float]]
    sheet: np.ndarray

    def as_dict(self) -> dict:
        """For JSON."""
        return {"frontal": self.frontal, "likeness": self.likeness}


def measure_portrait(refiner: Refiner, subject: Subject, measures: Measures) -> PortraitReport:
    """Look at a real person from `YAWS`."""
    raw, refined = subject.views(refiner, subject.cameras(YAWS), together=1)
    pictures = [raw_and_refined(view, color) for view, color in zip(raw, refined, strict=True)]
    photo = over_grey(subject.reference)
    portrait = measures.embedding(photo)
    likeness = {}
    for yaw, both in zip(YAWS, pictures, strict=True):
        # No true picture is there: both are judged by the landmarks of the raw one.
        found = measures.likeness(both, both["raw"], portrait)
        if found and portrait is not None:
            likeness[str(yaw)] = {name: values["ID portrait"] for name, values in found.items()}
    own = YAWS.index(0)
    sheet = np.vstack([np.hstack([both[name] for both in pictures]) for name in ("raw", "refined")])
    return PortraitReport(_frontal(subject, raw[own], pictures[own], measures), likeness, sheet.astype(np.uint8))


def _frontal(subject: Subject, view: RenderedView, pictures: dict[str, np.ndarray], measures: Measures) -> dict:
    matte = (subject.reference[..., 3] > 250) & (view.rgba[..., 3] > 250)
    sure = view.confidence >= CONFIDENT
    masks = {"confident": matte & sure, "doubtful": matte & ~sure, "silhouette": np.zeros_like(matte)}
    tally = Tally(measures)
    tally.add(pictures, over_grey(subject.reference), masks)
    table = tally.table()
    return {region: table[region] for region in ("inside", "confident", "doubtful") if table[region]}
