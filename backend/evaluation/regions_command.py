"""`turboportrait evaluate regions`: the portrait parser on held-out people, and on portraits beside its teacher."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.progress import track as progress
from rich.table import Table

from backend.evaluation.parsing import Overlap, alpha_error, boundary_f, colour_error, intersection_over_union
from backend.people.shards import is_held_out
from backend.photos import decode_photo, find_photos, read_photo
from backend.protocol.errors import TurboPortraitError
from backend.protocol.files import write_file
from backend.tracking.faces import find_face
from backend.tracking.parser import CLASSES, NETWORK, SIZE, PortraitParser
from backend.tracking.photo import crop_around
from backend.training.parser.backgrounds import draw_background
from backend.training.parser.config import FOLDS
from backend.training.parser.pictures import Picture, read_pictures
from backend.training.parser.portraits import HairTeacher
from backend.training.parser.samples import plain_sample
from backend.training.parser.trainer import fold_of

CROP = 512
LEAST_HAIR = 0.02
"""Share of the crop from which on a teacher's hair is compared."""
GOOD = 0.6
console = Console()


def regions(
    corpus: Annotated[Path, typer.Argument(help="Folder of `train parser-corpus`; its held-out people are used.")],
    portraits: Annotated[Path | None, typer.Option(help="Folder of photos, for hair beside the teacher.")] = None,
    teacher: Annotated[Path | None, typer.Option(help="MediaPipe's hair_segmentation.tflite.")] = None,
    network: Annotated[Path, typer.Option(help="The parser, an ONNX file of `train parser`.")] = NETWORK,
    folds: Annotated[
        Path | None,
        typer.Option(help="Folder of runs fold_0, fold_1, ...: each judges the portraits that it left out."),
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Write the figures here as JSON.")] = None,
) -> None:
    """Overlap of classes, boundary of eyewear, errors of alpha and colour; hair of portraits beside the teacher."""
    held_out = [p for p in read_pictures(corpus / "people") if is_held_out(int(p.group))]
    if not held_out:
        raise TurboPortraitError("bad_corpus", f"{corpus / 'people'} has no held-out people")
    figures = {"people": measure_people(PortraitParser(network), held_out)}
    if portraits is not None and teacher is not None:
        hair = HairTeacher(teacher)
        photos = find_photos(portraits)
        if folds is None:
            found = measure_portraits(PortraitParser(network), photos, hair)
        else:
            found = {}
            for run in sorted(folds.glob("fold_*")):
                own = portraits_of_fold(list(photos), int(run.name.removeprefix("fold_")))
                parser = PortraitParser(run / "parser" / "parser.onnx")
                found |= measure_portraits(parser, {name: photos[name] for name in own}, hair)
        figures["portraits"] = summary(found)
    for title, rows in figures.items():
        table = Table("", "figure", title=title)
        for name, value in rows.items():
            if not isinstance(value, dict):
                table.add_row(name, f"{value:.3f}")
        console.print(table)
    if output:
        write_file(output, json.dumps(figures, indent=2) + "\n")


def measure_people(parser: PortraitParser, pictures: list[Picture]) -> dict[str, float]:
    """Figures over pictures with exact labels, each before a strong background that its number draws."""
    overlap, boundary, alphas, colours = Overlap(CLASSES), [], [], []
    eyewear = CLASSES.index("eyewear")
    for number, picture in enumerate(progress(pictures, "held-out people", console=console)):
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
    for name in progress(list(photos), "portraits", console=console):
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
