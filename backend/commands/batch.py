"""turboportrait batch: shots of a .blend as pictures and movies, resumed where an earlier run ended."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from backend.commands.shots import given_rate
from backend.protocol.errors import describe
from backend.protocol.shots import DEFAULT_OUTPUT

if TYPE_CHECKING:
    from backend.batch.driver import Summary

FAILED, STOPPED = 1, 3
"""Exit status when frames failed, and when the run was stopped; 2 is a refusal before the first frame."""


def batch(
    shots: Annotated[
        Path | None, typer.Argument(help="A shot list: .otio, .edl, .xml, .csv; without it the .blend's markers.")
    ] = None,
    blend: Annotated[Path | None, typer.Option(help="The .blend with heads and cameras.")] = None,
    output: Annotated[Path, typer.Option(help="Folder for pictures, movies and the job itself.")] = Path("batch"),
    poses: Annotated[Path | None, typer.Option(help="A pose file in place of a .blend.")] = None,
    only: Annotated[list[str] | None, typer.Option(help="Render this shot only; repeat it.")] = None,
    quality: Annotated[str, typer.Option(help='A refiner preset, or "raw".')] = "compact",
    noise_level: Annotated[float, typer.Option(help="How far the refiner may leave the raw view.")] = 0.1,
    pattern: Annotated[str, typer.Option(help="Files of shots that don't say theirs; .png or .exr.")] = DEFAULT_OUTPUT,
    movies: Annotated[str, typer.Option(help="Kinds of movies per shot: h264, prores, none.")] = "h264,prores",
    temporal: Annotated[
        bool, typer.Option("--temporal/--no-temporal", help="Refine each frame with the one before as a reference.")
    ] = False,
    workers: Annotated[
        int | None,
        typer.Option(min=0, help="Processes that render; 0 for this one alone, by default one per GPU or core."),
    ] = None,
    ray: Annotated[str, typer.Option(help="Address of a Ray cluster; by default a local one is started.")] = "",
    threads: Annotated[int, typer.Option(min=0, help="Threads of each worker; 0 for a fair share.")] = 0,
    frames_together: Annotated[int, typer.Option("--batch", min=1, max=64, help="Frames refined together.")] = 4,
    fps: Annotated[str, typer.Option(help="Frames per second of an EDL, which doesn't say them.")] = "",
    overlaps: Annotated[bool, typer.Option("--overlaps", help="Frames may belong to several shots.")] = False,
    scene: Annotated[str, typer.Option(help="Scene of the .blend; by default the one it was saved in.")] = "",
    blender: Annotated[str, typer.Option(help="Command of a Blender, to evaluate the .blend.")] = "",
    plan_only: Annotated[bool, typer.Option("--plan", help="Check and plan, render nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Say what happens as lines of JSON.")] = False,
) -> None:
    """Render shots of a .blend. Run it again to go on where it was stopped or killed; what is there is kept."""
    # Read when torch and numba are loaded, in this process and in the workers it starts.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from backend.batch.driver import Summary
    from backend.batch.movies import KINDS
    from backend.batch.plan import BatchSettings, split_done
    from backend.batch.prepare import Request, prepare
    from backend.batch.problems import BatchRefused
    from backend.batch.run import Resources, planned, run_job

    kinds = tuple(kind for kind in movies.split(",") if kind != "none")
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        raise typer.BadParameter(f"{unknown[0]!r}; there are: {', '.join(KINDS)}, none", param_hint="--movies")
    settings = BatchSettings(quality, noise_level, pattern, temporal)
    chosen = tuple(only or ())
    request = Request(output, shots, blend, poses, settings, given_rate(fps), scene, chosen, overlaps, blender)
    stop = _stop_on_signals()
    page = str(output.absolute() / "index.html")
    with _Teller(as_json) as tell:
        try:
            plan, job = prepare(
                request,
                lambda n, of: tell({"event": "evaluated", "frame": n, "frames": of}),
                lambda sentence: tell({"event": "note", "sentence": sentence}),
            )
            if plan_only:
                tell(planned(plan, *split_done(plan, job.records(), job.output)))
                return
            resources = Resources(workers, ray, threads, frames_together)
            source = (str(shots or ""), str(blend or poses or ""))
            summary = run_job(plan, job, resources, kinds, source, tell, stop)
        except Exception as error:
            for problem in error.problems if isinstance(error, BatchRefused) else ():
                tell({"event": "problem", "line": problem.line, "sentence": problem.sentence})
            tell(_done(Summary([]), page) | {"code": describe(error).code, "sentence": describe(error).sentence})
            raise
        tell(_done(summary, page))
    if summary.stopped or summary.failures:
        raise typer.Exit(STOPPED if summary.stopped else FAILED)


def _done(summary: Summary, page: str) -> dict[str, Any]:
    return {
        "event": "done",
        "rendered": summary.done,
        "kept": summary.kept,
        "failed": len(summary.failures),
        "retries": summary.retries,
        "stopped": summary.stopped,
        "seconds": round(summary.wall_seconds, 2),
        "page": page,
    }


def _stop_on_signals() -> Any:
    """A callable that says whether a signal has asked to stop; the second one ends the process as usual."""
    asked: list[int] = []

    def handle(number: int, frame: Any) -> None:
        asked.append(number)
        signal.signal(number, signal.SIG_DFL)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handle)
    return lambda: bool(asked)


class _Teller:
    """Events for people, or as lines of JSON for a program."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._console = Console(stderr=True)
        self._bar: Progress | None = None
        self._tasks: dict[str, Any] = {}

    def __enter__(self) -> _Teller:
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, event: dict[str, Any]) -> None:
        # What is said may go to a file on the very disk that is full.
        with contextlib.suppress(OSError):
            if self._as_json:
                print(json.dumps(event), flush=True)
            elif show := getattr(self, f"_{event['event']}", None):
                show(event)

    def _say(self, text: str) -> None:
        self._console.print(text, soft_wrap=True, highlight=False, markup=False)

    def _note(self, event: dict[str, Any]) -> None:
        self._say(event["sentence"])

    def _planned(self, event: dict[str, Any]) -> None:
        self._say(
            f"{event['frames']} frames: {event['kept']} are there and kept, {event['missing']} are to be rendered."
        )
        if event["missing"] and self._console.is_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._bar = Progress(*columns, console=self._console)
            self._bar.start()

    def _frame(self, event: dict[str, Any]) -> None:
        if event.get("code"):
            self._say(f"{event['shot']}, frame {event['frame']}: {event['sentence']} [{event['code']}]")
        if self._bar is not None:
            shot = event["shot"]
            if shot not in self._tasks:
                self._tasks[shot] = self._bar.add_task(shot, total=event["shot_frames"])
            self._bar.update(self._tasks[shot], completed=event["shot_done"])

    def _movie(self, event: dict[str, Any]) -> None:
        if event.get("code"):
            self._say(f"{event['path']}: {event['sentence']} [{event['code']}]")

    def _retry(self, event: dict[str, Any]) -> None:
        self._say(f"A worker was lost with {event['frames']} frames, which are tried again ({event['sentence']}).")

    def _done(self, event: dict[str, Any]) -> None:
        if self._bar is not None:
            self._bar.stop()
        if "code" in event:  # Said as every command says it.
            return
        failed = f", {event['failed']} failed" if event["failed"] else ""
        stopped = ", stopped" if event["stopped"] else ""
        self._say(
            f"{event['rendered']} frames rendered, {event['kept']} kept{failed}{stopped}, {event['seconds']:.1f} s."
        )
        self._say(event["page"])
