"""The command: drives headless Blender through the add-on, then measures and draws."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from backend.bench.product import latencies
from backend.bench.report import machine
from backend.client.isolation import isolated, python_module
from backend.commands.session import backend_client
from backend.demo import measure, pictures
from backend.evaluation.portraits import real_portraits
from backend.photos import read_photo
from backend.protocol.errors import TurboPortraitError
from backend.protocol.files import write_file

app = typer.Typer(help="Animate a portrait from end to end: Blender, backend, frames, movie, report.")
console = Console()
PROGRESS = "@demo "


@app.callback(invoke_without_command=True)
def demo(
    portrait: Path | None = typer.Option(None, help="A portrait photo; by default the astronaut of scikit-image."),
    output: Path = typer.Option(Path("demo_output"), help="Folder for everything that is made."),
    frames: int = typer.Option(48, min=4, help="Length of the shot."),
    size: int = typer.Option(512, min=64, max=4096, help="Width and height of the frames, even."),
) -> None:
    """Register a portrait in headless Blender, keyframe a head turn and a camera move, render it, and report."""
    if importlib.util.find_spec("bpy") is None:
        raise TurboPortraitError(
            "internal", sentence="Blender's Python module is missing.", hint="Run `pip install bpy`, or `make demo`."
        )
    started = time.perf_counter()
    output = output.resolve()
    (output / "frames").mkdir(parents=True, exist_ok=True)
    for stale in (output / "frames").glob("*.png"):
        stale.unlink()
    photo = portrait.resolve() if portrait else output / "portrait.png"
    if not portrait:
        write_file(photo, real_portraits()["astronaut"])
    if not photo.is_file():
        raise TurboPortraitError("not_an_image", sentence=f"There is no file {photo}.", hint="Check the path.")
    size -= size % 2

    said = _render(photo, output, frames, size)
    rendered = sorted((output / "frames").glob("*.png"))
    if len(rendered) != frames:
        raise TurboPortraitError("internal", f"{len(rendered)} of {frames} frames were rendered; see blender.log")
    pictures.movie(rendered, output / "demo.mp4")
    with console.status("Measuring"), backend_client() as client:
        registered = client.register(read_photo(photo))
        pictures.contact_sheet(
            registered.reference[..., :3], measure.sheet_views(client, registered, size), output / "sheet.png"
        )
        report = {
            "machine": machine(),
            "registration_seconds": said["registration_seconds"],
            "frames": {"count": frames, "size": size, "seconds_each": said["seconds_each"]},
            "latency_256": latencies(client, registered),
            "frontal_inside_matte_256": measure.frontal_fidelity(client, registered),
            "identity_similarity": None,
            "identity_similarity_note": "no face recognition model is bundled",
            "seconds_in_all": round(time.perf_counter() - started, 1),
        }
    write_file(output / "report.json", json.dumps(report, indent=2, ensure_ascii=False) + "\n")
    _tell(output, report)


def _render(photo: Path, output: Path, frames: int, size: int) -> dict:
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
        open(log, "w") as words,
        subprocess.Popen(**start, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process,
    ):
        for line in process.stdout:
            if line.startswith(PROGRESS):
                yield json.loads(line[len(PROGRESS) :])
            else:
                words.write(line)


def _last_error(log: Path) -> str:
    lines = [line.strip() for line in log.read_text().splitlines() if "Error" in line]
    return lines[-1] if lines else "Blender ended before the shot was done."


def _tell(output: Path, report: dict) -> None:
    raw, refined = (report["frontal_inside_matte_256"][kind]["psnr_db"] for kind in ("raw", "refined"))
    one, two = (report["latency_256"][kind]["p50_ms"] for kind in ("one_raw_view", "two_refined_views"))
    console.print(f"One raw view {one} ms, two refined views {two} ms (median, 256x256).")
    console.print(f"The portrait rendered again, inside its matte: raw {raw} dB, refined {refined} dB.")
    for name in ("demo.mp4", "sheet.png", "frames", "demo.blend", "report.json"):
        console.print(f"  {output / name}")
