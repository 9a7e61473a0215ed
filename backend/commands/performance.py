"""turboportrait track and perform: a video as a performance, and a portrait that does what it does."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from backend.commands.session import BackendOption, KeysOption
from backend.commands.shots import given_rate
from backend.protocol.errors import describe
from backend.protocol.performance import Performance
from backend.protocol.takes import is_take, read_performance

console = Console(stderr=True)
FaceOption = Annotated[
    int, typer.Option("--face", min=0, help="Of several faces, counted from 1 at the left; 0 for the largest.")
]
NeutralOption = Annotated[
    float | None, typer.Option(min=0, help="Second at which the face is at rest; by default its first picture.")
]
RateOption = Annotated[str, typer.Option(help="Frames per second of what is written; by default the video's.")]
SmoothingOption = Annotated[float, typer.Option(min=0, max=10, help="Times the usual smoothing; 0 for none.")]
_gain = lambda what: typer.Option(min=0, max=5, help=f"Times as much of {what}.")  # noqa: E731


def track(
    source: Annotated[Path, typer.Argument(help="A video that shows a face, or a take (.csv, .json).", dir_okay=False)],
    output: Annotated[Path | None, typer.Option(help="The performance; by default SOURCE with .jsonl.")] = None,
    face: FaceOption = 0,
    neutral: NeutralOption = None,
    fps: RateOption = "",
    smoothing: SmoothingOption = 1.0,
    as_json: Annotated[bool, typer.Option("--json", help="Say how far it is as lines of JSON.")] = False,
) -> None:
    """Track the face of a video: pose, ARKit's 52 actions and gaze of each frame, as a performance file.

    A take of another program becomes such a file, too.
    """
    target = output or source.with_suffix(".jsonl")
    if as_json:
        with errors_as_json():
            performance = _performance(source, face, neutral, fps, smoothing, _say_as_json())
            performance.save(target)
            _say({"performance": str(target.absolute()), "frames": len(performance), "notes": performance.header.notes})
        return
    with _bar() as progress:
        performance = _performance(source, face, neutral, fps, smoothing, progress)
    performance.save(target)
    tell_notes(performance)
    typer.echo(str(target))


def perform(
    source: Annotated[
        Path,
        typer.Argument(help="A video, a performance (.jsonl) or a take (.csv, .json).", dir_okay=False),
    ],
    portrait: Annotated[Path, typer.Option(help="The photo of the person who shall do it.", dir_okay=False)],
    output: Annotated[Path, typer.Option(help="The movie (MP4).", dir_okay=False)] = Path("performance.mp4"),
    camera: Annotated[str, typer.Option(help='"follow" the head, or stand "still" while it moves.')] = "follow",
    refined: Annotated[bool, typer.Option("--refined/--raw", help="Refine each picture.")] = True,
    preset: Annotated[str, typer.Option(help="Refiner preset; `turboportrait models` lists them.")] = "compact",
    noise_level: Annotated[float, typer.Option(min=0.0, max=1.0, help="How far the refiner may depart.")] = 0.1,
    size: Annotated[int, typer.Option(min=64, max=4096, help="Pixels along both sides.")] = 512,
    face: FaceOption = 0,
    neutral: NeutralOption = None,
    fps: RateOption = "",
    smoothing: SmoothingOption = 1.0,
    brows: Annotated[float, _gain("the brows")] = 1.0,
    lids: Annotated[float, _gain("the lids")] = 1.0,
    mouth: Annotated[float, _gain("the mouth")] = 1.0,
    head: Annotated[float, _gain("the head's turns")] = 1.0,
    gaze: Annotated[float, _gain("the eyes' turns")] = 1.0,
    maker: Annotated[str, typer.Option(help="Avatar maker; `turboportrait models` lists them.")] = "bust",
    portrait_face: Annotated[int, typer.Option(min=0, help="As --face, in the portrait.")] = 0,
    backend: BackendOption = "",
    keys: KeysOption = None,
) -> None:
    """Render the person of a photo doing what a video or take does, with its sound."""
    from backend.commands.performing import Film, render_film
    from backend.photos import read_photo

    if camera not in ("follow", "still"):
        raise typer.BadParameter("it is follow or still", param_hint="--camera")
    photo = read_photo(portrait)
    with _bar() as progress:
        performance = _performance(source, face, neutral, fps, smoothing, progress)
    tell_notes(performance)
    gains = {"brows": brows, "lids": lids, "mouth": mouth, "head": head, "gaze": gaze}
    film = Film(size, camera == "still", preset if refined else "", noise_level, maker, portrait_face)
    with _bar() as progress:
        render_film(
            performance, gains, photo, film, output, None if is_take(source) else source, (backend, keys), progress
        )
    typer.echo(str(output))


def tell_notes(performance: Performance) -> None:
    """What was met on the way, on the console."""
    for sentence in performance.header.notes:
        console.print(f"[yellow]note:[/] {sentence}", highlight=False)


def _performance(
    source: Path, face: int, neutral: float | None, fps: str, smoothing: float, progress: Callable[[float, str], None]
) -> Performance:
    """What a file says that was tracked or captured before, otherwise what is tracked in a video."""
    if is_take(source):
        return read_performance(source, given_rate(fps))
    from backend.tracking.clips import Settings, track_clip
    from flame import load_head_model

    settings = Settings(face, neutral, given_rate(fps), smoothing)
    return track_clip(source, load_head_model(None), settings, progress)


@contextmanager
def _bar() -> Iterator[Callable[[float, str], None]]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:.0f} %"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("starting", total=1.0)
        yield lambda fraction, stage: bar.update(task, completed=fraction, description=stage)


def _say(line: dict) -> None:
    print(json.dumps(line), flush=True)


def _say_as_json() -> Callable[[float, str], None]:
    said = -1.0

    def progress(fraction: float, stage: str) -> None:
        nonlocal said
        if fraction - said >= 0.005 or fraction == 1:
            said = fraction
            _say({"progress": round(fraction, 4), "stage": stage})

    return progress


@contextmanager
def errors_as_json() -> Iterator[None]:
    """What is wrong becomes a line of JSON on standard output, and exit status 2."""
    try:
        yield
    except Exception as error:
        known = describe(error)
        _say({"code": known.code, "sentence": known.sentence, "hint": known.hint})
        if known.code == "internal":
            raise
        sys.exit(2)
