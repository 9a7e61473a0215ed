"""`turboportrait demo`: a portrait animated from end to end, then measured."""

from __future__ import annotations

import importlib.util
import json
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from backend.bench.product import latencies
from backend.bench.report import machine
from backend.commands.session import backend_client
from backend.demo import measure, pictures
from backend.demo.blender import render_frames
from backend.evaluation.portraits import real_portraits
from backend.photos import read_photo
from backend.protocol.errors import TurboPortraitError
from backend.protocol.files import write_file

app = typer.Typer(help="Animate a portrait from end to end: Blender, backend, frames, movie, report.")
console = Console()


@app.callback(invoke_without_command=True)
def demo(
    portrait: Annotated[
        Path | None, typer.Option(help="A portrait photo; by default the astronaut of scikit-image.")
    ] = None,
    output: Annotated[Path, typer.Option(help="Folder for everything that is made.")] = Path("demo_output"),
    frames: Annotated[int, typer.Option(min=4, help="Length of the shot.")] = 48,
    size: Annotated[int, typer.Option(min=64, max=4096, help="Width and height of the frames, even.")] = 512,
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

    said = render_frames(photo, output, frames, size, console)
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


def _tell(output: Path, report: dict) -> None:
    raw, refined = (report["frontal_inside_matte_256"][kind]["psnr_db"] for kind in ("raw", "refined"))
    one, two = (report["latency_256"][kind]["p50_ms"] for kind in ("one_raw_view", "two_refined_views"))
    console.print(f"One raw view {one} ms, two refined views {two} ms (median, 256x256).")
    console.print(f"The portrait rendered again, inside its matte: raw {raw} dB, refined {refined} dB.")
    for name in ("demo.mp4", "sheet.png", "frames", "demo.blend", "report.json"):
        console.print(f"  {output / name}")
