"""A video or a take as a performance: takes are read here, videos are tracked by the backend's Python."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from fractions import Fraction
from pathlib import Path

from bpy.app.translations import pgettext_rpt as rpt_

from backend.client import TurboPortraitError
from backend.client.isolation import isolated
from backend.protocol.errors import said_error
from backend.protocol.performance import Performance
from backend.protocol.takes import READERS, is_take, read_performance

from ..connection.command_line import base_command, run_command
from ..connection.tasks import Task, TaskProgress

VIDEO_FILES = "*.mp4;*.mov;*.m4v;*.mkv;*.webm;*.avi;*.mpg;*.mpeg;*.ts;*.mts"
TAKE_FILES = "*.jsonl;" + ";".join(f"*{suffix}" for suffix in READERS)
SECONDS = 24 * 3600.0
"""A long video takes long; the user may cancel."""
_tracked: dict[tuple, Performance] = {}
"""What was tracked last, by file and settings: other gains need no new tracking."""


def load(path: str, face: int = 0, neutral: float = -1.0, rate: Fraction | None = None) -> Task:
    """A task whose result is the performance of a file.

    Args:
        path: a performance, a take or a video.
        face: in a video, of several faces the one counted from 1 at the left; 0 for the largest.
        neutral: second of a video at which the face is at rest; negative for its first picture.
        rate: frames per second of a take; None for what it shows.

    Raises:
        TurboPortraitError: what is wrong with the file; backend_not_started.
    """
    path = os.path.abspath(path)
    if is_take(path):
        yield "Reading the take"
        return read_performance(path, rate)
    stamp = os.stat(path).st_mtime_ns if os.path.isfile(path) else 0
    key = (path, stamp, face, neutral)
    if key not in _tracked:
        made = yield from _track(path, face, neutral)
        _tracked.clear()
        _tracked[key] = made
    return _tracked[key]


def find_cameras() -> Task:
    """A task whose result is a line for each camera of this machine: its address and, after a tab, its name.

    Raises:
        TurboPortraitError: backend_not_started.
    """
    said, _ = yield from run_command([*base_command(), "capture", "--list"], "Looking for cameras")
    return said.decode(errors="replace")


def _track(path: str, face: int, neutral: float) -> Task:
    arguments = [*base_command(), "track", path, "--json", "--face", str(face)]
    arguments += ["--neutral", f"{neutral:.4f}"] if neutral >= 0 else []
    with tempfile.TemporaryDirectory(prefix="turboportrait-") as folder:
        output = Path(folder) / "performance.jsonl"
        with open(Path(folder) / "said", "w+b") as said, open(Path(folder) / "log", "w+b") as log:
            try:
                process = subprocess.Popen(
                    **isolated([*arguments, "--output", str(output)]), stdin=subprocess.DEVNULL, stdout=said, stderr=log
                )
            except OSError as error:
                raise TurboPortraitError("backend_not_started", str(error)) from error
            try:
                line: dict = {}
                while process.poll() is None:
                    line = _last_line(Path(said.name)) or line
                    stage = rpt_(str(line.get("stage", "starting")))
                    yield TaskProgress(f"{rpt_('Tracking the video')}: {stage}", fraction=line.get("progress"))
            finally:
                process.kill()
                process.wait()
            line = _last_line(Path(said.name))
        if process.returncode or not output.is_file():
            if "code" in line:
                raise said_error(line)
            raise TurboPortraitError("backend_not_started", _last_words(Path(folder) / "log", process.returncode))
        return Performance.load(output)


def _last_line(path: Path) -> dict:
    """The last whole line of JSON that the process has said."""
    for line in reversed(path.read_bytes().rpartition(b"\n")[0].splitlines()):
        try:
            said = json.loads(line)
        except ValueError:
            continue
        if isinstance(said, dict):
            return said
    return {}


def _last_words(log: Path, status: int) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1][:300] if lines else rpt_("exit status {status}").format(status=status)
