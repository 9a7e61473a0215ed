"""How other processes are started: whoever fills the folder that we happen to work in gets no code into them.

Python puts the current folder, or PYTHONPATH, before its own library, and Windows looks for programs in the current
folder first. A .blend comes with a folder, and Blender that is opened by a double click works in it.
"""

from __future__ import annotations

import errno
import os
import shutil
import site
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypedDict

from backend.client.discovery import state_folder

SAFE_PATH = {"PYTHONSAFEPATH": "1"}
"""Keeps the current folder off the path of every Python that has it among its variables."""
_ROOT = Path(__file__).resolve().parents[2]
"""Where this package lies: a checkout, or a folder of installed packages."""


class Start(TypedDict):
    """Arguments of `subprocess.Popen`."""

    args: list[str]
    cwd: Path
    env: dict[str, str]


def isolated(command: Sequence[str], variables: Mapping[str, str] | None = None) -> Start:
    """What starts a command apart from the current folder and from Python's own variables.

    Args:
        command: a program and its arguments. Those are to be absolute paths: it runs in our state folder.
        variables: for its environment, besides this process's.

    Raises:
        OSError: there is no such program, or no state folder can be made.
    """
    program = _program(command[0])
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON") or k == "PYTHONNOUSERSITE"}
    if program == sys.executable and _ROOT not in map(Path, [*site.getsitepackages(), site.getusersitepackages()]):
        # A checkout, or an extension's folder: this Python found it by what was taken away above.
        kept["PYTHONPATH"] = str(_ROOT)
    folder = state_folder()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return {"args": [program, *command[1:]], "cwd": folder, "env": kept | SAFE_PATH | dict(variables or {})}


def python_module(module: str, python: str | Path = sys.executable) -> tuple[str, ...]:
    """The command that runs a module, which the current folder can't replace."""
    return (str(python), "-P", "-m", module)


def blender_without_window(*command: str) -> tuple[str, ...]:
    """The command of a Blender without a window that runs no scripts of a file, whatever its preferences allow."""
    return (*command, "--background", "--disable-autoexec")


def find_program(name: str) -> str | None:
    """A program in one of the path's absolute folders; never one in the current folder."""
    folders = filter(os.path.isabs, os.environ.get("PATH", os.defpath).split(os.pathsep))
    found = shutil.which(name, path=os.pathsep.join(folders))
    # Windows looks in the current folder whatever the path says.
    return found if found and os.path.isabs(found) else None


def _program(name: str) -> str:
    found = os.path.abspath(name) if os.path.dirname(name) else find_program(name)
    if found is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
    return found
