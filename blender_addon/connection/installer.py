"""Install backend: a Python environment of its own for the backend, with the versions that it was tested with.

It runs as two processes after each other, `venv` and `pip`, whose output goes to a log file; nothing here waits.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

import bpy
from bpy.app.translations import pgettext_iface as iface_
from bpy.app.translations import pgettext_rpt as rpt_

from backend.client import TurboPortraitError
from backend.client.discovery import state_folder
from backend.client.isolation import find_program, python_module

from ..package_name import ADDON
from .logged_process import clear_install_log, run_logged
from .tasks import Task, TaskProgress

PACKED = Path(__file__).parents[1] / "environment"
"""In the extension's zip (see tools/build_extension.py); a checkout has none."""
SUITABLE = ((3, 11), (3, 12), (3, 13))
"""Pythons that all of the backend's packages have wheels for."""
OURS = "turboportrait-environment"
"""A file that says that a folder was made by us, so that what lies in it may be thrown away."""
COMPLETE = "turboportrait-complete"
"""A file that says that an environment was installed to its end."""
_COLLECTING = re.compile(r"^(?:Collecting|Processing) ([\w.-]+)", re.MULTILINE)
_COLLECTED = re.compile(r"^Installing collected packages: (.+)$", re.MULTILINE)
COLLECTING_SHARE = 0.5
"""Of the installation; the rest is unpacking."""


def constraints() -> Path:
    """The file with the versions that the backend was tested with."""
    return PACKED / "constraints.txt"


def default_folder() -> Path:
    """Where the backend is installed unless the preferences say otherwise."""
    return state_folder() / "environment"


def folder() -> Path:
    """Where the backend is installed or would be: our marks, and the environment in a folder of its own."""
    addon = bpy.context.preferences.addons.get(ADDON)
    chosen = addon.preferences.environment if addon and addon.preferences else ""
    return Path(bpy.path.abspath(chosen)) if chosen else default_folder()


def python_of(environment: Path) -> Path:
    """The Python of a virtual environment."""
    return environment / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def installed_python() -> str | None:
    """The Python of a complete installation; None without one."""
    return str(python_of(folder() / "venv")) if (folder() / COMPLETE).exists() else None


def can_install() -> str:
    """Empty if `Install backend` can work, else a sentence on why not."""
    if not constraints().exists():
        return rpt_("This add-on runs from a checkout, which has its own environment: make setup")
    if not bpy.app.online_access:
        return rpt_("Blender may not use the network: allow online access in its system preferences")
    if find_python() is None:
        return rpt_("No Python 3.11, 3.12 or 3.13 was found: install one from python.org, then try again")
    return ""


def find_python() -> tuple[str, ...] | None:
    """The command of a suitable Python: Blender's own if it fits, else one on the path."""
    if sys.version_info[:2] in SUITABLE and Path(sys.executable).stem.startswith("python"):
        return (sys.executable,)
    for major, minor in SUITABLE:
        if found := find_program(f"python{major}.{minor}"):
            return (found,)
    if sys.platform == "win32" and (found := find_program("py")):
        return (found, "-3.11")
    return None


def install(place: Path, python: Sequence[str]) -> Task:
    """A task whose result is a complete environment in the folder `place`; given up, it ends the process at work.

    Raises:
        TurboPortraitError: backend_not_started, with the last line of the log, or where the folder is not ours.
    """
    _claim(place)
    environment = place / "venv"
    wheels = [f"{path}[backend]" for path in sorted(PACKED.glob("turboportrait3d*.whl"))]
    (place / COMPLETE).unlink(missing_ok=True)
    clear_install_log()
    making = rpt_("Making the environment")
    venv = [*python, "-P", "-m", "venv", "--clear", str(environment.absolute())]
    yield from run_logged(venv, lambda said: TaskProgress(making, fraction=0))
    pip = [*python_module("pip", python_of(environment)), "--disable-pip-version-check", "--no-input", "install"]
    options = ["--progress-bar", "off", "--constraint", str(constraints())]
    yield from run_logged([*pip, *options, *wheels], lambda said: _progress(environment, said))
    (place / COMPLETE).touch()
    return place


def _claim(place: Path) -> None:
    """Mark a new or empty folder as ours; what was in it before is nobody's but ours.

    Raises:
        TurboPortraitError: backend_not_started.
    """
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (place / OURS).is_file():
            if any(place.iterdir()):
                raise TurboPortraitError(
                    "backend_not_started",
                    sentence=rpt_("The folder for the backend holds other files: {folder}.").format(folder=place),
                    hint=rpt_("Choose a new or an empty folder in the preferences."),
                )
            (place / OURS).touch()
    except OSError as error:
        raise TurboPortraitError("backend_not_started", f"{place}: {error.strerror}") from error


def _progress(environment: Path, said: str) -> TaskProgress:
    """How far pip is: it names each package that it fetches, then unpacks all of them without a word."""
    names = _COLLECTING.findall(said)
    collected = _COLLECTED.search(said)
    if collected is None:
        expected = constraints().read_text().count("==") if constraints().exists() else 1
        line = rpt_("Downloading the backend: {package}").format(package=names[-1] if names else "pip")
        return TaskProgress(line, fraction=COLLECTING_SHARE * min(len(names) / max(expected, 1), 1))
    packages = len(collected[1].split(", "))
    library = "Lib" if sys.platform == "win32" else "lib/python3*"
    there = sum(1 for _ in environment.glob(f"{library}/site-packages/*.dist-info"))
    line = rpt_("Unpacking the backend: {count} of {packages} packages").format(
        count=min(there, packages), packages=packages
    )
    return TaskProgress(line, fraction=COLLECTING_SHARE + (1 - COLLECTING_SHARE) * min(there / packages, 1))


def draw(layout: bpy.types.UILayout) -> None:
    """The button, or why there is none, or that it is done."""
    reason = can_install()
    if installed_python():
        layout.label(text="The backend is installed here", icon="CHECKMARK")
    if reason:
        layout.label(text=reason, icon="INFO", translate=False)
    else:
        text = (
            iface_("Install backend again", "Operator") if installed_python() else iface_("Install backend", "Operator")
        )
        layout.operator("turboportrait.install_backend", icon="IMPORT", text=text, translate=False)
