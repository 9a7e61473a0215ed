"""`turboportrait evaluate performance`: how well tracked videos agree with what was played."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from backend.evaluation.acting import FRAMES
from backend.evaluation.performance import ACTIONS, SIZE, measure
from backend.evaluation.portraits import real_portraits
from backend.photos import read_photo
from backend.protocol.files import write_file
from backend.tracking.embedding import with_landmarks
from flame import load_head_model

_ROWS = (
    ("head rotation, median", lambda found: f"{found.head_median:.1f}°"),
    ("head rotation, 95 %", lambda found: f"{found.head_95:.1f}°"),
    ("gaze, median", lambda found: f"{found.gaze_median:.1f}°"),
    ("lag", lambda found: f"{found.lag} frames"),
    ("jitter of a still head", lambda found: f"{found.jitter:.2f}°"),
    ("frames lost", lambda found: f"{found.lost}"),
    ("a frame over its network", lambda found: f"{found.cost:.1f}"),
    ("frames a second", lambda found: f"{found.per_second:.0f}"),
    *((f"correlation of {name}", lambda found, name=name: f"{found.correlation[name]:.2f}") for name in ACTIONS),
)


def performance(
    portraits: Annotated[
        list[Path] | None, typer.Argument(help="More people: photos that nothing was trained on.")
    ] = None,
    frames: Annotated[int, typer.Option(min=50, help="Length of the films.")] = FRAMES,
    output: Annotated[Path | None, typer.Option(help="Write the figures here as JSON.")] = None,
) -> None:
    """How well tracked videos agree with what was played: films of avatars whose every parameter is known."""
    model = with_landmarks(load_head_model())
    people = real_portraits() | {path.stem: read_photo(path) for path in portraits or ()}
    found = {name: measure(photo, model, frames) for name, photo in people.items()}
    table = Table(title=f"{frames} frames played by each avatar at {SIZE} pixels, tracked")
    for column in ("", *found):
        table.add_column(column)
    for title, cell in _ROWS:
        table.add_row(title, *map(cell, found.values()))
    Console().print(table)
    if output:
        report = {"frames": frames, "people": {name: asdict(each) for name, each in found.items()}}
        write_file(output, json.dumps(report, indent=2) + "\n")
