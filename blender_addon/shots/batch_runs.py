"""The batch runs that this Blender watches: one per output folder, followed by a timer that only reads a file."""

from __future__ import annotations

import json
import os
import shlex
import time
from pathlib import Path

import bpy
from bpy.app.translations import pgettext_rpt as rpt_

from backend.client import TurboPortraitError
from backend.protocol.job_lock import LockWatch
from backend.protocol.shots import RAW, Shot

from ..connection.command_line import base_command, run_command
from ..connection.tasks import Task
from .batch_process import BatchRun, lock_watch, problem_line
from .markers import marker_shots

TICK_SECONDS = 0.5
_runs: dict[Path, BatchRun] = {}
_watches: dict[Path, LockWatch] = {}
_looked: dict[Path, float] = {}
"""When a folder was last searched for a run of another Blender, seconds of the monotonic clock."""
LOOK_SECONDS = 2.0


def output_folder(scene: bpy.types.Scene) -> Path | None:
    """The scene's output folder; None where it is beside a .blend that was never saved."""
    path = scene.turboportrait_shots.output
    if not path or (path.startswith("//") and not bpy.data.filepath):
        return None
    return Path(bpy.path.abspath(path)).absolute()


def run_of(scene: bpy.types.Scene) -> BatchRun | None:
    """The run on the scene's output folder: this Blender's, or one that was found there running."""
    folder = output_folder(scene)
    if folder is None:
        return None
    if folder not in _runs and time.monotonic() - _looked.get(folder, -LOOK_SECONDS) >= LOOK_SECONDS:
        _looked[folder] = time.monotonic()
        found = BatchRun.find(folder, _watches.setdefault(folder, lock_watch(folder)))
        if found is not None:
            _follow(folder, found)
    return _runs.get(folder)


def start(scene: bpy.types.Scene, names: list[str] | None) -> BatchRun:
    """Start a run on the scene as it is now.

    Args:
        names: the shots to render; None for all.

    Raises:
        TurboPortraitError: backend_not_started, where no Python is chosen; job_locked.
        ValueError: no folder.
        OSError: the folder or the Python cannot be used.
    """
    folder = output_folder(scene)
    if folder is None:
        raise ValueError(rpt_("Save the .blend first, or choose an output folder that is not beside it"))
    running = run_of(scene)
    if running is not None and running.running:
        raise TurboPortraitError("job_locked", str(folder))
    (folder / "job").mkdir(parents=True, exist_ok=True)
    # A copy: what is rendered is the scene as it is now, and the user's file stays as it was saved.
    copy = folder / "job" / "scene.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(copy), copy=True, compress=False)
    run = BatchRun.start(command(scene, copy, names), folder)
    _follow(folder, run)
    return run


def command(scene: bpy.types.Scene, blend: Path, names: list[str] | None) -> list[str]:
    """The command line of a run, without its output folder.

    Raises:
        TurboPortraitError: backend_not_started.
    """
    shots, settings = scene.turboportrait_shots, scene.turboportrait
    arguments = [*base_command(), "batch"]
    if shots.file:
        arguments.append(os.path.abspath(bpy.path.abspath(shots.file)))
        rate = scene.render.fps / scene.render.fps_base
        arguments += ["--fps", f"{rate:.6g}"] if shots.file.lower().endswith(".edl") else []
    arguments += ["--blend", str(blend), "--quality", RAW if settings.output == "RAW" else settings.preset]
    arguments += ["--noise-level", f"{settings.noise_level:.4g}"]
    arguments += ["--pattern", "{shot}/{shot}.{frame:04d}." + shots.file_format.lower()]
    arguments += [] if shots.movies else ["--movies", "none"]
    for name in names or ():
        arguments += ["--only", name]
    if bpy.app.binary_path:
        arguments += ["--blender", shlex.quote(bpy.app.binary_path)]
    return arguments


def take_markers(scene: bpy.types.Scene) -> None:
    """Fill the list from the timeline's markers."""
    scene.turboportrait_shots.file = ""
    fill(scene, marker_shots(scene))


def fill(scene: bpy.types.Scene, shots: list[Shot]) -> None:
    """Replace the list; shots that were in it keep their tick."""
    items = scene.turboportrait_shots.items
    left_out = {item.name for item in items if not item.chosen}
    items.clear()
    for shot in shots:
        item = items.add()
        item.name, item.camera, item.first, item.last = shot.name, shot.camera, shot.first, shot.last
        item.chosen = shot.name not in left_out


def read_shot_list(path: str, rate: float) -> Task:
    """A task whose result is the shots of a file, read by the backend's Python.

    Raises:
        TurboPortraitError: batch_refused, with everything that is wrong; backend_not_started.
    """
    arguments = [*base_command(), "shots", "show", os.path.abspath(path), "--json"]
    arguments += ["--fps", f"{rate:.6g}"] if path.lower().endswith(".edl") else []
    text, returncode = yield from run_command(arguments, "Reading the shot list")
    try:
        found = json.loads(text)
    except ValueError as error:
        status = rpt_("exit status {status}").format(status=returncode)
        raise TurboPortraitError("backend_not_started", status) from error
    if found["problems"]:
        raise TurboPortraitError("batch_refused", "; ".join(map(problem_line, found["problems"])))
    return [Shot(**shot) for shot in found["shots"]]


def _follow(folder: Path, run: BatchRun) -> None:
    _runs[folder] = run
    if not bpy.app.timers.is_registered(_tick):
        bpy.app.timers.register(_tick, first_interval=TICK_SECONDS, persistent=True)


def _tick() -> float | None:
    """Read what is new; ends with the last run."""
    if any([run.poll() for run in _runs.values() if not run.progress.finished]):
        for window in bpy.context.window_manager.windows if bpy.context.window_manager else ():
            for area in window.screen.areas:
                if area.type == "VIEW_3D":
                    area.tag_redraw()
    return TICK_SECONDS if any(not run.progress.finished for run in _runs.values()) else None


def register() -> None:
    pass


def unregister() -> None:
    """Look no more; the runs go on by themselves."""
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)
    _runs.clear()
    _looked.clear()
    _watches.clear()
