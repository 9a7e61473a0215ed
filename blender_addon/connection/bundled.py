"""The light backend that comes in the extension's zip: unpacked once, run by the Python that Blender brings."""

from __future__ import annotations

import hashlib
import re
import sys
from functools import cache
from pathlib import Path

import bpy
from bpy.app.translations import pgettext_rpt as rpt_

from backend.client.discovery import state_folder

from ..package_name import ADDON
from . import unpack_runtime
from .logged_process import run_logged
from .tasks import Task, TaskProgress

PACKED = Path(__file__).parents[1] / "runtime"
"""In the zip for one platform and Python (see tools/build_extension.py); others have none."""
_UNPACKING = re.compile(r"^unpacking (\d+) of (\d+)", re.MULTILINE)


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
    return isolated_python(sys.executable, folder() / unpack_runtime.LAUNCHER, *arguments)


def is_unpacked() -> bool:
    """Whether this version's backend lies there already."""
    return (folder() / unpack_runtime.LAUNCHER).is_file()


def isolated_python(python: str, script: Path, *arguments: str) -> tuple[str, ...]:
    """The command that runs a script by a Python that sees nothing but its standard library and that script's words."""
    return (python, "-I", "-S", str(script), *arguments)


def unpacked() -> Task:
    """A task after which the backend is unpacked; at once where it is.

    Raises:
        TurboPortraitError: backend_not_started, with a sentence on what to do.
    """
    target = folder()
    if is_unpacked():
        return target
    script = Path(unpack_runtime.__file__)
    yield from run_logged(isolated_python(sys.executable, script, str(PACKED), str(target)), _progress)
    return target


def _progress(said: str) -> TaskProgress:
    found = _UNPACKING.findall(said)
    done, count = map(int, found[-1]) if found else (0, 1)
    return TaskProgress(rpt_("Unpacking the backend, once"), fraction=done / max(count, 1))
