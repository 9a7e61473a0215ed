"""Everything that is asked of a refiner, measured: one report and its pictures."""

from __future__ import annotations

import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipFile

import numpy as np
from rich.progress import Progress

from backend.evaluation.agreement import Agreement, measure_flicker
from backend.evaluation.documents import Pictures
from backend.evaluation.measures import Measures
from backend.evaluation.pictures import identity_rows, stacked
from backend.evaluation.plots import noise_plot, rotation_plot
from backend.evaluation.portrait_report import measure_portrait
from backend.evaluation.portraits import real_portraits
from backend.evaluation.rotation import Rotation, Turned, is_the_person, measure_rotation, turn
from backend.evaluation.subject import Subject
from backend.evaluation.tables import measure_tables
from backend.people.shards import Identity, load_identities, seed_of, shards
from backend.protocol.errors import TurboPortraitError
from backend.refiner import Refiner
from backend.tracking.embedding import with_landmarks
from flame import HeadModel, load_head_model

SHOWN = 6
"""People on the sheet."""
NO_PEOPLE = "it needs held-out people that `turboportrait train synthesize` of this release made"


@dataclass(frozen=True)
class Extent:
    """How much is measured.

    Attributes:
        identities: at most so many held-out people, drawn at random, the same ones each time; None: all.
        left_out: so many that would be drawn first are left out, whom something was chosen by before.
        multistep: the multi-step baseline on the first so many of them.
        turned: Figure 6 on the first so many of them.
        frames: of the orbit that flicker is measured on, 0 for none.
        portraits: whether the real portraits are looked at.
    """

    identities: int | None = None
    left_out: int = 0
    multistep: int = 2
    turned: int = 2
    frames: int = 48
    portraits: bool = True


def measure_all(refiner: Refiner, corpus: Path, extent: Extent, progress: Progress) -> tuple[dict, Pictures]:
    """The report, for JSON, and its pictures.

    Raises:
        TurboPortraitError: `bad_corpus`, `training_weights`.
    """
    started, machine = time.perf_counter(), _machine()
    held_out = _some(load_identities(corpus, held_out=True), extent.identities, extent.left_out)
    if not held_out:
        raise TurboPortraitError(
            "bad_corpus", f"{corpus} has no more than {extent.left_out} held-out identities, and all are left out",
            hint="Leave fewer out.",
        )  # fmt: skip
    model, measures = with_landmarks(load_head_model()), Measures.at_hand()
    task = progress.add_task("tables", total=len(held_out))
    tables = measure_tables(refiner, held_out, model, measures, extent.multistep, lambda: progress.advance(task))
    report = tables.as_dict() | {"machine": machine, "not measured": {}}
    sheet = stacked([identity_rows(refiner, identity, most=2) for identity in held_out[:SHOWN]])
    pictures = {"held_out": ("Held-out people: portrait; then raw, refined and true views", sheet)}

    paths = {seed_of(path): path for path in shards(corpus)}
    made = [identity for identity in held_out if _is_synthetic(paths[identity.seed])][: extent.turned]
    people = [_made_again(identity, model, refiner.size) for identity in progress.track(made, description="Figure 6")]
    people = [person for person in people if person is not None]
    if people:
        rotation = measure_rotation(refiner, people, measures)
        report |= _rotation_figures(rotation)
        pictures["figure6_people"] = ("Figure 6: raw, refined and true, -90 to 90 degrees", stacked(rotation.sheets))
    elif extent.turned:
        report["not measured"]["Figure 6"] = NO_PEOPLE

    photos = real_portraits() if extent.portraits or extent.frames else {}
    portraits = {name: Subject.of_photo(photo, model, refiner.size) for name, photo in photos.items()}
    if extent.portraits:
        report["portraits"] = {}
        for name, subject in progress.track(portraits.items(), description="portraits"):
            found = measure_portrait(refiner, subject, measures)
            report["portraits"][name] = found.as_dict()
            pictures[name] = (f"{name}: raw above refined, -35, -20, 0, 20 and 35 degrees", found.sheet)
    if extent.frames:
        orbits = portraits | {f"person {person.subject.seed}": person.subject for person in people[:1]}
        report["orbit frames"], report["flicker"] = extent.frames, {}
        for name, subject in progress.track(orbits.items(), description="flicker"):
            report["flicker"][name] = _agreement_figures(measure_flicker(refiner, subject, extent.frames))

    plots = {"figure6": ("Figure 6", rotation_plot(report)), "table2": ("Table 2", noise_plot(report))}
    pictures |= {stem: plot for stem, plot in plots.items() if plot[1] is not None}
    report["took"] = time.perf_counter() - started
    return report, pictures


def _machine() -> str:
    """What the times depend on."""
    busy = f", load {os.getloadavg()[0]:.1f} at the start" if hasattr(os, "getloadavg") else ""
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores{busy}"


def _made_again(identity: Identity, model: HeadModel, size: int) -> Turned | None:
    """The person of a shard, if this release's synthesis still makes the same one."""
    person = turn(identity.seed, model, size)
    return person if is_the_person(person.subject, identity.reference) else None


def _some(identities: list[Identity], most: int | None, left_out: int = 0) -> list[Identity]:
    """So many at random, the same each time: side by side a corpus has people of several makings."""
    order = np.random.default_rng(0).permutation(len(identities))[left_out:]
    return [identities[k] for k in order[:most]]


def _is_synthetic(path: Path) -> bool:
    """Whether `train synthesize` made a shard from its seed alone, so that the person can be made again."""
    with ZipFile(path) as shard:
        names = shard.namelist()
    return "agreement.npy" in names and "moment.npy" not in names


def _rotation_figures(rotation: Rotation) -> dict:
    means = {
        kind: float(np.mean([found.difference[kind] for found in rotation.agreements]))
        for kind in rotation.agreements[0].difference
    }
    pairs = sum(found.pairs for found in rotation.agreements)
    return {
        "turned people": len(rotation.agreements),
        "figure6": {str(yaw): tally.table() for yaw, tally in rotation.tallies.items()},
        "consistency": means | {"pairs": pairs},
    }


def _agreement_figures(found: Agreement) -> dict:
    return found.difference | {"ratio": found.ratio, "pairs": found.pairs}
