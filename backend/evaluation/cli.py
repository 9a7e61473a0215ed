"""`turboportrait evaluate`: figures about the refiner, as a table and as JSON."""

from __future__ import annotations

import json
import platform
from pathlib import Path

import numpy as np
import typer
from rich.console import Console
from rich.progress import track as progress_of
from rich.table import Table

from backend.evaluation.flicker import flicker
from backend.evaluation.tables_command import tables

app = typer.Typer(help="Measure.", no_args_is_help=True)
app.command()(flicker)
app.command()(tables)
console = Console()


@app.callback()
def main() -> None:
    """Measure what the documents claim."""


@app.command()
def refiner(
    corpus: Path = typer.Option(Path("data/corpus"), help="Folder of the synthetic shards."),
    preset: str = typer.Option("compact", help="A refiner preset, or a refiner's folder."),
    output: Path = typer.Option(Path("runs/evaluation"), help="Folder for JSON and pictures."),
    identities: int = typer.Option(24, help="At most so many held-out identities."),
) -> None:
    """The refiner on held-out identities, in three regions beside raw and two blurs, and on the real portraits."""
    from backend.avatars.relief import register_relief
    from backend.evaluation import pictures
    from backend.evaluation.portraits import real_portraits
    from backend.evaluation.refiner_report import judge_identities, judge_portrait
    from backend.refiner import Refiner, available_presets
    from backend.training.corpus import load_identities
    from backend.training.synthetic.pairs import reference_image
    from flame import load_head_model

    load = Refiner.from_preset if preset in available_presets() else Refiner.from_pretrained
    loaded = load(preset)
    held_out = load_identities(corpus, held_out=True)[:identities]
    scores = judge_identities(loaded, progress_of(held_out, "identities", console=console))
    output.mkdir(parents=True, exist_ok=True)
    rows = [pictures.identity_rows(loaded, identity) for identity in held_out[:10]]
    pictures.save(np.vstack(rows), output / "held_out.jpg")
    model, portraits = load_head_model(), {}
    for name, photo in real_portraits().items():
        avatar = register_relief(photo, model)
        portraits[name] = judge_portrait(loaded, avatar, reference_image(avatar, loaded.size))
        pictures.save(pictures.portrait_rows(loaded, avatar), output / f"{name}.jpg")
    report = {
        "preset": preset,
        "identities": len(held_out),
        "views": scores.views,
        "regions": scores.table(),
        "portraits": portraits,
        "machine": platform.machine(),
    }
    (output / "refiner.json").write_text(json.dumps(report, indent=2) + "\n")
    _print(report)
    console.print(f"JSON and pictures are in {output}.")


def _print(report: dict) -> None:
    table = Table(title=f"{report['views']} views of {report['identities']} held-out identities: PSNR (dB) / SSIM")
    methods = list(report["regions"]["confident"])
    for column in ("region", "pixels", *methods):
        table.add_column(column)
    for region, by_method in report["regions"].items():
        cells = [f"{entry['psnr']:.2f} / {entry['ssim']:.3f}" for entry in by_method.values()]
        table.add_row(region, f"{100 * by_method['raw']['share']:.0f} %", *cells)
    console.print(table)
    for name, figures in report["portraits"].items():
        console.print(f"{name}: " + ", ".join(f"{key} {value:.2f} dB" for key, value in figures.items()))
