"""`turboportrait evaluate tables`: the paper's tables and Figure 6 with our weights, on held-out people."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

console = Console()
ORBIT_FRAMES = 48
"""At most; a frame costs a refinement."""


def tables(
    corpus: Path = typer.Argument(Path("data/corpus"), help="Folder of shards; the held-out ones are used."),
    preset: str = typer.Option("compact", help="A refiner preset, or a refiner's folder."),
    output: Path = typer.Option(Path("runs/tables"), help="Folder for tables.json, tables.md and tables.html."),
    identities: int = typer.Option(3, min=1, help="At most so many held-out people."),
    multistep: int = typer.Option(1, min=0, help="The multi-step baseline on the first so many of them."),
    turned: int = typer.Option(1, min=0, help="Figure 6 on the first so many of them, made again from their seeds."),
    frames: int = typer.Option(9, min=2, max=ORBIT_FRAMES, help="Frames of the orbit that flicker is measured on."),
) -> None:
    """Table 1, Table 2, Figure 6, several V, consistency across views and flicker, as JSON, Markdown and a page."""
    from backend.evaluation import rotation, tables_report
    from backend.evaluation.measures import WHOLE, Measures
    from backend.evaluation.pictures import identity_rows
    from backend.evaluation.tables import measure_tables
    from backend.refiner import Refiner, available_presets
    from backend.tracking.embedding import with_landmarks
    from backend.training.corpus import load_identities, shards
    from flame import load_head_model

    refiner = (Refiner.from_preset if preset in available_presets() else Refiner.from_pretrained)(preset)
    held_out = load_identities(corpus, held_out=True)[:identities]
    model, measures = with_landmarks(load_head_model()), Measures.at_hand()
    to_turn = [identity for identity in held_out if _is_synthetic(shards(corpus), identity.seed)][:turned]
    with Progress(console=console) as progress:
        task = progress.add_task("tables", total=len(held_out))
        found = measure_tables(refiner, held_out, model, measures, multistep, lambda: progress.advance(task))
        task = progress.add_task("turned heads", total=len(to_turn))
        people = []
        for identity in to_turn:
            person = rotation.turn(identity.seed, model, refiner.size)
            people += [person] if rotation.is_the_person(person, identity.reference) else []
            progress.advance(task)
        report = found.as_dict() | {"preset": preset, "turned people": len(people)}
        sheets = {"Portrait; raw, refined and true views": _stacked([identity_rows(refiner, i) for i in held_out[:6]])}
        if people:
            by_yaw = rotation.measure_rotation(refiner, people, measures)
            report["figure6"] = {str(yaw): tally.table()[WHOLE] for yaw, tally in by_yaw.items()}
            report["agreement"] = {
                "views 30 degrees apart": asdict(rotation.measure_agreement(refiner, people[0], people[0].cameras)),
                f"an orbit of {frames} frames": asdict(
                    rotation.measure_agreement(refiner, people[0], rotation.orbit_cameras(people[0], frames))
                ),
            }
            sheets["Figure 6: raw, refined and true views, -90 to 90 degrees"] = _stacked(
                [rotation.sheet(refiner, person) for person in people[:3]]
            )
    tables_report.write(report, sheets, output)
    for title, heads, rows in tables_report.tables_of(report):
        table = Table(*heads, title=title)
        for row in rows:
            table.add_row(*row)
        console.print(table)
    for measure, what in report["not available"].items():
        console.print(f"{measure} is not available: it needs {what}", highlight=False, soft_wrap=True)
    if not people and turned:
        console.print(
            "Figure 6 is not available: it needs people that `turboportrait train synthesize` of this release made."
        )
    console.print(f"JSON, Markdown and a page with plots are in {output}.")


def _is_synthetic(paths: list[Path], seed: int) -> bool:
    """Whether a shard was made from its seed alone, so that the person can be made again."""
    path = next(path for path in paths if int(path.stem.removeprefix("identity_")) == seed)
    with ZipFile(path) as shard:
        return "agreement.npy" in shard.namelist()


def _stacked(rows: list[np.ndarray]) -> np.ndarray:
    """Pictures under one another, the narrower ones padded."""
    width = max(row.shape[1] for row in rows)
    return np.vstack([np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0)), constant_values=255) for row in rows])
