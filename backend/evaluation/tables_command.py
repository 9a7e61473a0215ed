"""`turboportrait evaluate tables` and `document`: everything that is asked of a refiner, and the page that shows it."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from backend.protocol.errors import TurboPortraitError

WIDTH = 160
"""Columns where no terminal has a width."""
console = Console(width=None if sys.stdout.isatty() else WIDTH)


def tables(
    corpus: Path = typer.Argument(Path("data/corpus"), help="Folder of shards; the held-out ones are used."),
    preset: str = typer.Option("compact", help="A refiner preset, or a refiner's folder."),
    output: Path = typer.Option(Path("runs/tables"), help="Folder for tables.json, .md, .html and the pictures."),
    identities: int | None = typer.Option(None, min=1, help="So many held-out people, drawn at random; else all."),
    leave_out: int = typer.Option(
        0, min=0, help="Leave the first so many drawn out, whom something was chosen by: the others are a blind test."
    ),
    multistep: int = typer.Option(2, min=0, help="The multi-step baseline on the first so many of them."),
    orbit: int = typer.Option(48, min=0, help="Frames that flicker is measured on; 0: none."),
    portraits: bool = typer.Option(True, help="The real portraits as well."),
    views: list[str] = typer.Option(
        [], help="NAME=FOLDER: views that another system made of `data export-tasks`, as a row of Table 1."
    ),
    quick: bool = typer.Option(False, "--quick", help="Table 1, Table 2, several V and the portraits only."),
) -> None:
    """All that is asked of a refiner: asked and measured, Tables 1 and 2, Figure 6, real portraits, flicker."""
    from backend.evaluation import documents, tables_report
    from backend.evaluation.full_report import Extent, measure_all
    from backend.evaluation.targets import targets_of
    from backend.people.tasks import parse_views
    from backend.refiner import Refiner, available_presets
    from backend.refiner.config import preset_folder

    try:
        given = tuple(parse_views(text) for text in views)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--views") from error
    known = preset in available_presets()
    refiner = (Refiner.from_preset if known else Refiner.from_pretrained)(preset)
    if quick:
        multistep = orbit = 0
    extent = Extent(identities, leave_out, multistep, orbit, portraits, given)
    with Progress(console=console) as progress:
        report, pictures = measure_all(refiner, corpus, extent, progress)
    folder = preset_folder(preset) if known else Path(preset)
    report |= {"preset": preset} | ({"weights MB": _megabytes(folder)} if folder.is_dir() else {})
    report["targets"] = [asdict(target) for target in targets_of(report)]
    documents.write(report, pictures, output)
    for table in tables_report.tables_of(report):
        shown = Table(*table.heads, title=table.title)
        for row in table.rows:
            shown.add_row(*row)
        console.print(shown)
    for note in tables_report.notes_of(report):
        console.print(f"- {note}", highlight=False, soft_wrap=True)
    console.print(f"{report['took'] / 60:.1f} minutes. JSON, Markdown, a page and pictures are in {output}.")


def document(
    report: Path = typer.Argument(Path("runs/tables/tables.json"), help="What `evaluate tables` wrote."),
    page: Path = typer.Argument(Path("docs/evaluation.md"), help="A Markdown document with places for tables."),
) -> None:
    """Put a report's tables and pictures into a document, in their places there."""
    from backend.evaluation import documents

    try:
        found = json.loads(report.read_text())
    except (OSError, ValueError) as error:
        raise TurboPortraitError("bad_report", f"{report}: {error}") from error
    try:
        left = documents.fill(page, found)
    except (KeyError, TypeError) as missing:
        raise TurboPortraitError("bad_report", f"{report} is not of this version: {missing}") from missing
    pictures = documents.place_pictures(page, report.parent)
    console.print(f"{page} has the tables of {report} now, and {len(pictures)} pictures: {', '.join(pictures)}.")
    if left:
        console.print(f"It has no place for: {', '.join(left)}.")


def _megabytes(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*.safetensors")) / 1e6
