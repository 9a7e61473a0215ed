"""`turboportrait evaluate`: figures about the refiner, as tables and as JSON."""

from __future__ import annotations

import typer

from backend.evaluation.flicker import flicker
from backend.evaluation.regions_command import regions
from backend.evaluation.sheets import sheets
from backend.evaluation.tables_command import document, tables

app = typer.Typer(help="Measure.", no_args_is_help=True)
app.command()(tables)
app.command()(document)
app.command()(flicker)
app.command()(regions)
app.command()(sheets)


@app.callback()
def main() -> None:
    """Measure what the documents claim."""
