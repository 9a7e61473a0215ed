"""Drives headless Blender through the add-on."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from backend.client.isolation import isolated, python_module
from backend.protocol.errors import TurboPortraitError
from backend.protocol.files import write_file

PROGRESS = "@demo "


def render_frames(photo: Path, output: Path, frames: int, size: int, console: Console) -> dict:
    """Have headless Blender make the frames; its measurements."""
    settings = output / "settings.json"
    asked = {"portrait": str(photo), "output": str(output), "frames": frames, "size": size}
    write_file(settings, json.dumps(asked))
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    registration, seconds = None, []
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("Starting Blender and the backend, registering", total=frames)
        for fields in _blender(settings, output / "blender.log"):
            if "registration_seconds" in fields:
                registration = fields["registration_seconds"]
                progress.update(bar, description="Rendering")
            elif "frame" in fields:
                seconds.append(fields["seconds"])
                progress.update(bar, completed=fields["frame"])
    if registration is None or len(seconds) < frames:
        raise TurboPortraitError("internal", sentence=_last_error(output / "blender.log"), hint="See blender.log.")
    return {"registration_seconds": round(registration, 2), "seconds_each": round(sum(seconds) / len(seconds), 3)}


def _blender(settings: Path, log: Path) -> Iterator[dict]:
    """Run the scene's script; yields what it tells."""
    start = isolated([*python_module("blender_addon.demo"), str(settings)])
    with (
        open(log, "w") as output,
        subprocess.Popen(**start, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process,
    ):
        for line in process.stdout or ():
            if line.startswith(PROGRESS):
                yield json.loads(line[len(PROGRESS) :])
            else:
                output.write(line)


def _last_error(log: Path) -> str:
    lines = [line.strip() for line in log.read_text().splitlines() if "Error" in line]
    return lines[-1] if lines else "Blender ended before the shot was done."
