"""The light backend that comes in the extension's zip: unpacked once, run by the Python that Blender brings."""

from __future__ import annotations

import hashlib
import re
import sys
from functools import cache
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath

import bpy
from bpy.app.translations import pgettext_rpt as rpt_

from backend.client import BackendProcess, TurboPortraitError
from backend.client.discovery import state_folder

from ..package_name import ADDON
from . import launcher, unpack_runtime
from .logged_process import run_logged
from .tasks import Task, TaskProgress

PACKED = Path(__file__).parents[1] / "runtime"
"""In the zip for one platform and Python (see tools/build_extension.py); others have none."""
FIRST_START_SECONDS = 1800.0
"""At most; a quiet machine takes less than one minute."""
_DONE = re.compile(r"^\w+ing (\d+) of (\d+)", re.MULTILINE)


def is_packed() -> bool:
    """Whether this extension brings a backend."""
    return (PACKED / unpack_runtime.LIST).is_file()


@cache
def folder() -> Path:
    """Where this version's backend is or would be unpacked: in the extension's folder for this user."""
    digest = hashlib.sha256((PACKED / unpack_runtime.LIST).read_bytes()).hexdigest()[:12]
    if ADDON.startswith("bl_ext."):
        return Path(bpy.utils.extension_path_user(ADDON)) / "runtime" / digest
    return state_folder() / "runtime" / digest


def command(*arguments: str) -> tuple[str, ...]:
    """The command of the unpacked backend: apart from all variables and from Python's own packages."""
    return isolated_python(own_python(), folder() / unpack_runtime.LAUNCHER, *arguments)


def is_unpacked() -> bool:
    """Whether this version's backend lies there already."""
    return (folder() / unpack_runtime.LAUNCHER).is_file()


def first_start_seconds() -> float:
    """What a task may take longer because it unpacks and compiles the backend first."""
    return FIRST_START_SECONDS if is_packed() and not is_unpacked() else 0.0


def isolated_python(python: str, script: PurePath, *arguments: str) -> tuple[str, ...]:
    """The command that runs a script by a Python that sees nothing but its standard library and that script's words."""
    return (python, "-I", "-S", str(script), *arguments)


def own_python(
    executable: str = sys.executable,
    prefix: str = sys.prefix,
    system: str = sys.platform,
    version: tuple[int, int] = sys.version_info[:2],
) -> str:
    """The Python that Blender brings, as a program: `sys.executable`, but where that is Blender itself."""
    kind = PureWindowsPath if system == "win32" else PurePosixPath
    if kind(executable).stem.lower().startswith("python"):
        return executable
    program = "python.exe" if system == "win32" else f"python{version[0]}.{version[1]}"
    return str(kind(prefix) / "bin" / program)


def unpacked() -> Task:
    """A task after which the backend is unpacked and compiled; at once where it is.

    Raises:
        TurboPortraitError: backend_not_started, with a sentence on what to do.
    """
    target = folder()
    if is_unpacked():
        return target
    script = Path(unpack_runtime.__file__)
    failed = "The backend could not be unpacked. {reason}."
    unpacking = isolated_python(own_python(), script, str(PACKED), str(target))
    yield from run_logged(unpacking, lambda said: _progress("Unpacking the backend, once", said), failed)
    yield from run_logged(command("compile"), lambda said: _progress("Compiling the backend, once", said), "{reason}")
    return target


def explained(error: TurboPortraitError, process: BackendProcess) -> TurboPortraitError:
    """Why the unpacked backend did not start, by the line that its launcher has left in the log."""
    if process.process.poll() != launcher.TOLD or process.log is None:
        return error
    said = process.log.read_text(errors="replace").strip().splitlines()[-1]
    return TurboPortraitError(error.code, sentence=said, hint=rpt_("Show log has all its words."))


def _progress(line: str, said: str) -> TaskProgress:
    found = _DONE.findall(said)
    done, count = map(int, found[-1]) if found else (0, 1)
    return TaskProgress(rpt_(line), fraction=done / max(count, 1))
