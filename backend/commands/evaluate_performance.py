"""`turboportrait evaluate performance`: how well tracked videos agree with what was played."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from backend.evaluation.acting import FRAMES
from backend.evaluation.performance import measure
from backend.evaluation.portraits import real_portraits
from backend.photos import read_photo
from backend.protocol.files import write_file
from backend.tracking.embedding import with_landmarks
from flame import load_head_model

WIDTH = 160
"""Columns where no terminal has a width."""


def performance(
    portraits: Annotated[
        list[Path] | None, typer.Argument(help="More people: photos that nothing was trained on.")
    ] = None,
    frames: Annotated[int, typer.Option(min=50, help="Length of the films.")] = FRAMES,
    output: Annotated[Path | None, typer.Option(help="Write the figures here as JSON.")] = None,
) -> None:
    """How well tracked videos agree with what was played: films of avatars whose every parameter is known."""
    from backend.evaluation.full_report import machine_now
    from backend.evaluation.performance_report import performance_table

    machine, model = machine_now(), with_landmarks(load_head_model())
    people = real_portraits() | {name: read_photo(path) for name, path in named(portraits or ()).items()}
    found = {name: asdict(measure(photo, model, frames)) for name, photo in people.items()}
    report = {"frames": frames, "machine": machine, "people": found}
    table = performance_table(report)
    shown = Table(*table.heads, title=table.title)
    for row in table.rows:
        shown.add_row(*row)
    Console(width=None if sys.stdout.isatty() else WIDTH).print(shown)
    if output:
        write_file(output, json.dumps(report, indent=2) + "\n")


def named(portraits: Sequence[Path]) -> dict[str, Path]:
    """Photos by their names; by their folders' where several have one name, as a corpus' portraits have."""
    stems = Counter(path.stem for path in portraits)
    return {path.stem if stems[path.stem] == 1 else path.absolute().parent.name: path for path in portraits}
