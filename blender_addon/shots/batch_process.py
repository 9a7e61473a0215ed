"""`turboportrait batch` as a process of its own, and what it says, read from a file: it may outlive this Blender.

Nothing of the scene is needed here: the process writes lines of JSON into the job's folder, `BatchProgress` reads
what is new.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bpy.app.translations import pgettext_rpt as rpt_

from backend.client.isolation import isolated
from backend.protocol.files import open_regular
from backend.protocol.job_lock import LockWatch

FILE = "progress.jsonl"


@dataclass
class ShotProgress:
    """How far one shot is."""

    frames: int = 0
    done: int = 0
    failed: int = 0


@dataclass
class BatchProgress:
    """What a run has said so far.

    Attributes:
        output: the run's output folder.
        shots: by name.
        message: one line on the last thing that happened.
        problems: what was wrong before the start, a line each.
        finished: it has said its last word.
    """

    output: Path
    shots: dict[str, ShotProgress] = field(default_factory=dict)
    message: str = ""
    problems: list[str] = field(default_factory=list)
    finished: bool = False
    offset: int = 0

    @property
    def file(self) -> Path:
        """Where the run speaks."""
        return self.output / "job" / FILE

    @property
    def page(self) -> Path:
        """The contact sheet."""
        return self.output / "index.html"

    @property
    def done(self) -> int:
        """Frames of all shots that are there."""
        return sum(shot.done for shot in self.shots.values())

    @property
    def frames(self) -> int:
        """Frames of all shots."""
        return sum(shot.frames for shot in self.shots.values())

    @property
    def failed(self) -> int:
        """Frames of all shots that failed."""
        return sum(shot.failed for shot in self.shots.values())

    def read(self) -> bool:
        """Take in what is new in the file; whether there was anything."""
        try:
            with open(self.file, "rb") as file:
                file.seek(self.offset)
                data = file.read()
        except OSError:
            return False
        whole = data.rfind(b"\n") + 1
        self.offset += whole
        for line in data[:whole].splitlines():
            with contextlib.suppress(ValueError):
                said = json.loads(line)
                if isinstance(said, dict):
                    self._take(said)
        return whole > 0

    def _take(self, said: dict) -> None:
        event = said.get("event")
        if event == "evaluated":
            self.message = rpt_("Blender evaluates frame {frame} of {frames}").format(**said)
        elif event == "planned":
            self.shots = {shot["name"]: ShotProgress(shot["frames"], shot["kept"]) for shot in said["shots"]}
            self.message = rpt_("{kept} frames were there already").format(**said)
            self.finished, self.problems = False, []
        elif event == "frame":
            shot = self.shots.setdefault(said["shot"], ShotProgress(said["shot_frames"]))
            shot.done = said["shot_done"]
            shot.failed += "code" in said
            failure = f": {rpt_(said['sentence'])}" if "code" in said else ""
            self.message = rpt_("{shot}, frame {frame}").format(**said) + failure
        elif event in ("note", "retry"):
            self.message = said["sentence"]
        elif event == "problem":
            self.problems.append(problem_line(said))
        elif event == "done" and "code" in said:
            self.message, self.finished = rpt_(said["sentence"].splitlines()[-1]), True
        elif event == "done":
            self.message = rpt_("{rendered} frames rendered, {kept} kept").format(**said)
            self.message += rpt_(", {failed} failed").format(**said) if said["failed"] else ""
            self.message += rpt_(", stopped") if said["stopped"] else ""
            self.finished = True


def lock_watch(output: Path) -> LockWatch:
    """A look at the lock of the job in an output folder."""
    return LockWatch(output / "job" / "lock.json")


def problem_line(problem: dict) -> str:
    """What is wrong with a shot list, with its line if it is known."""
    sentence = rpt_(problem["sentence"])
    return (
        rpt_("line {line}: {sentence}").format(line=problem["line"], sentence=sentence) if problem["line"] else sentence
    )


class BatchRun:
    """One run: started here, or found running where an earlier Blender had started it."""

    def __init__(
        self, output: Path, process: subprocess.Popen | None = None, offset: int = 0, watch: LockWatch | None = None
    ) -> None:
        self.progress = BatchProgress(output, offset=offset)
        self._process = process
        self._watch = watch or lock_watch(output)

    @classmethod
    def start(cls, command: Sequence[str], output: Path) -> BatchRun:
        """Start a run; returns at once.

        Args:
            command: up to `turboportrait batch` with all options but --output and --json.

        Raises:
            OSError: the folder or the program cannot be used.
        """
        (output / "job").mkdir(parents=True, exist_ok=True)
        path = output / "job" / FILE
        flags = {"creationflags": 0x08000200} if sys.platform == "win32" else {"start_new_session": True}
        new = os.O_WRONLY | os.O_CREAT
        with (
            open_regular(path, new | os.O_APPEND) as said,
            open_regular(output / "job" / "batch.log", new | os.O_TRUNC) as log,
        ):
            offset = said.seek(0, os.SEEK_END)
            process = subprocess.Popen(
                **isolated([*command, "--output", str(output), "--json"]),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=log,
                **flags,
            )
        return cls(output, process, offset)

    @classmethod
    def find(cls, output: Path, watch: LockWatch | None = None) -> BatchRun | None:
        """A run that works on this folder now, whoever started it; None if there is none.

        Args:
            watch: the one of earlier looks, without which a run on another machine is not seen.
        """
        run = cls(output, watch=watch)
        if not run.running:
            return None
        run.progress.read()
        return run

    @property
    def running(self) -> bool:
        """The process lives."""
        return self._watch.running() if self._process is None else self._process.poll() is None

    def poll(self) -> bool:
        """Take in what is new; whether there was anything."""
        news = self.progress.read()
        if not self.running and not self.progress.finished:
            self.progress.read()
            self.progress.finished = True
            if not self.progress.problems and self._process is not None and self._process.returncode:
                self.progress.message = self._last_words()
            return True
        return news

    def stop(self) -> None:
        """Ask the run to end; what is done stays done. A signal goes only to what was started here.

        Raises:
            TurboPortraitError: the other run's folder cannot be written.
        """
        if self._process is not None:
            self._process.terminate()
        else:
            self._watch.request_stop()

    def _last_words(self) -> str:
        try:
            lines = (self.progress.output / "job" / "batch.log").read_text(errors="replace").strip().splitlines()
        except OSError:
            lines = []
        # A message may span lines; its last says the most.
        if lines:
            return lines[-1][:500]
        status = self._process.returncode if self._process is not None else ""
        return rpt_("The batch ended with status {status}").format(status=status)
