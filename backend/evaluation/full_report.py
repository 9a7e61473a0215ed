"""Everything that is asked of a refiner, measured: one report and its pictures."""

from __future__ import annotations

import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.progress import Progress

from backend.evaluation.agreement import Agreement, measure_flicker
from backend.evaluation.documents import Pictures
from backend.evaluation.measures import Measures
from backend.evaluation.pictures import identity_rows, stacked
from backend.evaluation.plots import noise_plot, rotation_plot
from backend.evaluation.portrait_report import measure_portrait
from backend.evaluation.portraits import real_portraits
from backend.evaluation.subject import Subject
from backend.evaluation.tables import measure_tables
from backend.people.shards import Identity, load_identities
from backend.people.tasks import GivenViews
from backend.protocol.errors import TurboPortraitError
from backend.refiner import Refiner
from backend.tracking.embedding import with_landmarks
from flame import load_head_model

SHOWN = 6
"""People on the sheet."""


@dataclass(frozen=True)
class Extent:
    """How much is measured.

    Attributes:
        identities: at most so many held-out people, drawn at random, the same ones each time; None: all.
        left_out: so many that would be drawn first are left out, whom something was chosen by before.
        multistep: the multi-step baseline on the first so many of them.
        frames: of the orbit that flicker is measured on, 0 for none.
        portraits: whether the real portraits are looked at.
        given: views that other systems made of the held-out people.
    """

    identities: int | None = None
    left_out: int = 0
    multistep: int = 2
    frames: int = 48
    portraits: bool = True
    given: tuple[GivenViews, ...] = ()


def measure_all(refiner: Refiner, corpus: Path, extent: Extent, progress: Progress) -> tuple[dict, Pictures]:
    """The report, for JSON, and its pictures.

    Raises:
        TurboPortraitError: `bad_corpus`, `training_weights`.
    """
    started, machine = time.perf_counter(), machine_now()
    held_out = _some(load_identities(corpus, held_out=True), extent.identities, extent.left_out)
    if not held_out:
        raise TurboPortraitError(
            "bad_corpus", f"{corpus} has no more than {extent.left_out} held-out identities, and all are left out",
            hint="Leave fewer out.",
        )  # fmt: skip
    model, measures = with_landmarks(load_head_model()), Measures.at_hand()
    task = progress.add_task("tables", total=len(held_out))
    tables = measure_tables(
        refiner, held_out, model, measures, extent.multistep, lambda: progress.advance(task), extent.given
    )
    report = tables.as_dict() | {"machine": machine}
    sheet = stacked([identity_rows(refiner, identity, most=2) for identity in held_out[:SHOWN]])
    pictures = {"held_out": ("Held-out people: portrait; then raw, refined and true views", sheet)}

    photos = real_portraits() if extent.portraits or extent.frames else {}
    portraits = {name: Subject.of_photo(photo, model, refiner.size) for name, photo in photos.items()}
    if extent.portraits:
        report["portraits"] = {}
        for name, subject in progress.track(portraits.items(), description="portraits"):
            found = measure_portrait(refiner, subject, measures)
            report["portraits"][name] = found.as_dict()
            pictures[name] = (f"{name}: raw above refined, -35, -20, 0, 20 and 35 degrees", found.sheet)
    if extent.frames:
        report["orbit frames"], report["flicker"] = extent.frames, {}
        for name, subject in progress.track(portraits.items(), description="flicker"):
            report["flicker"][name] = _agreement_figures(measure_flicker(refiner, subject, extent.frames))

    plots = {"figure6": ("Figure 6", rotation_plot(report)), "table2": ("Table 2", noise_plot(report))}
    pictures |= {stem: (title, plot) for stem, (title, plot) in plots.items() if plot is not None}
    report["took"] = time.perf_counter() - started
    return report, pictures


def machine_now() -> str:
    """What the times depend on."""
    busy = f", load {os.getloadavg()[0]:.1f} at the start" if hasattr(os, "getloadavg") else ""
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores{busy}"


def _some(identities: list[Identity], most: int | None, left_out: int = 0) -> list[Identity]:
    """So many at random, the same each time: side by side a corpus has people of several makings."""
    order = np.random.default_rng(0).permutation(len(identities))[left_out:]
    return [identities[k] for k in order[:most]]


def _agreement_figures(found: Agreement) -> dict:
    return found.difference | {"ratio": found.ratio, "pairs": found.pairs}
