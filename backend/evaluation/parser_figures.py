"""The portrait parser on held-out people, and on portraits beside its teacher."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from rich.progress import track as progress

from backend.evaluation.parsing import Overlap, alpha_error, boundary_f, colour_error, intersection_over_union
from backend.people.parsing.backgrounds import draw_background
from backend.people.parsing.crops import plain_sample
from backend.people.parsing.folds import FOLDS, fold_of
from backend.people.parsing.pictures import LabelledPicture
from backend.people.parsing.portraits import HairTeacher
from backend.photos import decode_photo, read_photo
from backend.tracking.faces import find_face
from backend.tracking.parser import CLASSES, SIZE, PortraitParser
from backend.tracking.photo import crop_around

CROP = 512
LEAST_HAIR = 0.02
"""Share of the crop from which on a teacher's hair is compared."""
GOOD = 0.6


def measure_people(parser: PortraitParser, pictures: list[LabelledPicture]) -> dict[str, float]:
    """Figures over pictures with exact labels, each before a strong background that its number draws."""
    overlap, boundary, alphas, colours = Overlap(CLASSES), [], [], []
    eyewear = CLASSES.index("eyewear")
    for number, picture in enumerate(progress(pictures, "held-out people")):
        sample = plain_sample(picture, draw_background(np.random.default_rng(number), SIZE))
        found = parser.parse(sample.image, sample.valid)
        overlap.add(found.labels, sample.labels)
        if (worn := sample.labels == eyewear).any():
            boundary.append(boundary_f(found.labels == eyewear, worn))
        alphas.append(alpha_error(found.alpha, sample.alpha, sample.valid))
        colours.append(colour_error(found.foreground, sample.foreground, sample.alpha, sample.valid))
    figures = {f"IoU {name}": value for name, value in overlap.table().items()}
    if boundary:
        figures["boundary F of eyewear"] = float(np.mean(boundary))
    return figures | {
        "alpha SAD in the unknown band, thousands": float(np.mean(alphas)),
        "foreground colour error, levels": float(np.nanmean(colours)),
        "pictures": len(pictures),
    }


def portraits_of_fold(names: list[str], fold: int) -> list[str]:
    """The portraits that a fold's run did not see, of the configuration's usual number of folds."""
    return [name for name in names if fold_of(name, names, FOLDS) == fold]


def measure_portraits(parser: PortraitParser, photos: dict[str, Path], teacher: HairTeacher) -> dict[str, float]:
    """Intersection over union with the teacher's hair in the tracker's crop, of those with hair enough."""
    found = {}
    for name in progress(list(photos), "portraits"):
        face = find_face(decode_photo(read_photo(photos[name])).rgb)
        crop = crop_around(face.photo, face.landmarks[:468], CROP)
        hair = (teacher(crop.image) > 0.5) & crop.valid
        if hair.mean() >= LEAST_HAIR:
            labels = parser.parse(crop.image, crop.valid).labels
            found[name] = intersection_over_union(labels == CLASSES.index("hair"), hair)
    return found


def summary(found: dict[str, float]) -> dict[str, float | dict[str, float]]:
    """The figures over portraits, and each."""
    values = np.array(list(found.values()))
    return {
        "IoU hair, mean": float(values.mean()),
        f"share above {GOOD}": float((values > GOOD).mean()),
        "portraits": len(values),
        "each": found,
    }
