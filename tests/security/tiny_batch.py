"""`turboportrait batch` of a tiny shot list, in processes forked from one that has loaded everything: hundreds take
minutes. Its head and refiner are the tests' little ones, all else is what users run.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TextIO

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS / "batch"), str(TESTS / "pipeline")]

FRAMES = {f"turn/turn.{n:04d}.png" for n in (1, 2, 3)} | {f"nod/nod.{n:04d}.png" for n in (10, 11, 12)}
MOVIES = {"turn.mp4", "nod.mp4"}
PACKAGE = "tests.security"
"""Its name from the checkout; pytest has a shorter one."""
WHOLE = "whole"
"""Below the folder of `Forks`: the output of an undisturbed batch."""
RESULT, STATUS = "result ", "status "


class Forks:
    """One process that forks others, one at a time; ends with the block."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> Forks:
        # A process that has used OpenMP cannot be forked.
        environment = os.environ | {"NUMBA_THREADING_LAYER": "workqueue", "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"{PACKAGE}.tiny_batch", str(self._folder)],
            cwd=TESTS.parent, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.communicate()

    def call(self, function: Callable, *arguments: Any, kill_after: float | None = None) -> tuple[int, Any]:
        """Call a function in a new process.

        Args:
            function: of a module of this package. arguments: what JSON knows.
            kill_after: seconds after which the process is killed, if it has not ended.

        Returns:
            The exit status, negative for a signal, and what the function gave.
        """
        name = function.__module__.rpartition(".")[2]
        self._process.stdin.write(json.dumps([name, function.__name__, arguments, kill_after]) + "\n")
        self._process.stdin.flush()
        result = None
        for line in self._process.stdout:
            if line.startswith(RESULT):
                result = json.loads(line.removeprefix(RESULT))
            elif line.startswith(STATUS):
                return int(line.removeprefix(STATUS)), result
        raise AssertionError("the process that forks is gone")


def batch(folder: str, output: str, said: str) -> int:
    """Run the command; its exit status.

    Args:
        folder: of `Forks`. said: file that takes what the command says; errors go beside it.
    """
    with open(said, "w") as out, open(f"{said}.log", "w") as log:
        return command(folder, output, out, log)


def command(folder: str, output: str, out: TextIO, log: TextIO) -> int:
    """See `batch`."""
    from backend.commands.app import main

    sys.argv[1:] = ["batch", "--poses", f"{folder}/poses.npz", "--output", output, "--workers", "0", "--json"]
    sys.argv += ["--movies", "h264", "--batch", "2"]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(log):
        try:
            main()
        except SystemExit as ended:
            return ended.code or 0
    return 0


def events(text: str) -> list[dict[str, Any]]:
    """What a batch has said; a line that its end cut short is left out."""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def pictures(output: Path) -> dict[str, bytes]:
    """The pixels of the frames that are there."""
    from backend.batch.images import read_rgba

    return {name: read_rgba(output / name).tobytes() for name in sorted(FRAMES) if (output / name).exists()}


def check_whole(output: Path, whole: Path, said: str, before: dict[str, int]) -> None:
    """A batch has ended well: everything is there, and what was recorded before was not made again.

    Args:
        whole: the output of an undisturbed one. said: by the last run. before: `times` of what earlier runs recorded.
    """
    assert pictures(output) == pictures(whole)
    assert all((output / name).is_file() for name in (*MOVIES, "index.html", "job/manifest.json"))
    assert not list((output / "job" / "parts").iterdir())
    assert times(output, before) == before
    assert [event["event"] for event in events(said)].count("done") == 1
    assert events(said)[-1]["kept"] >= len(before)


def times(output: Path, names: Iterable[str]) -> dict[str, int]:
    """When files were written, ns."""
    return {name: (output / name).stat().st_mtime_ns for name in names}


def recorded(said: str) -> set[str]:
    """The frames that a run said were done."""
    return {event["path"] for event in events(said) if event["event"] == "frame" and "code" not in event}


def _serve(folder: Path) -> None:
    from little_head import little_catalog
    from little_shots import little_poses

    from backend.pipeline.catalog import Catalog
    from backend.protocol.shots import Shot

    Catalog.default = classmethod(lambda cls: little_catalog())
    size = {"width": 32, "height": 24}
    little_poses((Shot("turn", 1, 3, "Cam", **size), Shot("nod", 10, 12, "Cam", **size))).save(folder / "poses.npz")
    assert batch(str(folder), str(folder / WHOLE), str(folder / "whole.said")) == 0
    for line in sys.stdin:
        module, function, values, kill_after = json.loads(line)
        pid = os.fork()
        if not pid:
            _call(module, function, values)
        if kill_after is not None:
            time.sleep(kill_after)
            os.kill(pid, signal.SIGKILL)
        print(STATUS + str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])), flush=True)


def _call(module: str, function: str, arguments: Sequence[Any]) -> None:
    status = 1
    try:
        result = getattr(importlib.import_module(f"{PACKAGE}.{module}"), function)(*arguments)
        os.write(1, f"{RESULT}{json.dumps(result)}\n".encode())
        status = 0
    finally:
        if status:
            import traceback

            traceback.print_exc()
        os._exit(status)


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
