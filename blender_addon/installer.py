"""Install backend: a Python environment of its own for the backend, with the versions that it was tested with.

It runs as two processes after each other, `venv` and `pip`, whose output goes to a log file; nothing here waits.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import bpy

from backend.client import TurboPortraitError
from backend.client.discovery import state_folder

from .steps import Progress, Steps

ROOM = Path(__file__).parent
WHEELS = (ROOM / "wheels", ROOM / "environment")
"""In the extension's zip (see tools/build_extension.py); a checkout has none."""
CONSTRAINTS = ROOM / "environment" / "constraints.txt"
SUITABLE = ((3, 11), (3, 12))
"""Pythons that all of the backend's packages have wheels for."""
COMPLETE = "turboportrait-complete"
"""A file that says that an environment was installed to its end."""
_STEP = re.compile(r"(Collecting|Downloading|Using cached|Installing|Successfully|Requirement)\b.*")


def default_folder() -> Path:
    """Where the environment lies unless the preferences say otherwise."""
    return state_folder() / "environment"


def folder() -> Path:
    """Where the environment lies or would lie."""
    addon = bpy.context.preferences.addons.get(__package__)
    chosen = addon.preferences.environment if addon and addon.preferences else ""
    return Path(bpy.path.abspath(chosen)) if chosen else default_folder()


def python_of(environment: Path) -> Path:
    """The Python of a virtual environment."""
    return environment / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def installed_python() -> str | None:
    """The Python of a complete environment; None without one."""
    environment = folder()
    return str(python_of(environment)) if (environment / COMPLETE).exists() else None


def log_path() -> Path:
    """What venv and pip said."""
    return state_folder() / "install.log"


def can_install() -> str:
    """Empty if `Install backend` can work, else a sentence on why not."""
    if not CONSTRAINTS.exists():
        return "This add-on runs from a checkout, which has its own environment: make setup"
    if not bpy.app.online_access:
        return "Blender may not use the network: allow online access in its system preferences"
    if find_python() is None:
        return "No Python 3.11 or 3.12 was found: install one from python.org, then try again"
    return ""


def find_python() -> tuple[str, ...] | None:
    """The command of a suitable Python: Blender's own if it fits, else one on the path."""
    if sys.version_info[:2] in SUITABLE and Path(sys.executable).stem.startswith("python"):
        return (sys.executable,)
    for major, minor in SUITABLE:
        if found := shutil.which(f"python{major}.{minor}"):
            return (found,)
    if sys.platform == "win32" and (found := shutil.which("py")):
        return (found, "-3.11")
    return None


def installing(environment: Path, python: Sequence[str]) -> Steps:
    """Steps to a complete environment; given up, they end the process at work.

    Raises:
        TurboPortraitError: backend_not_started, with the last line of the log.
    """
    wheels = [str(path) for place in WHEELS for path in sorted(place.glob("turboportrait3d*.whl"))]
    (environment / COMPLETE).unlink(missing_ok=True)
    log_path().parent.mkdir(parents=True, exist_ok=True)
    log_path().write_bytes(b"")
    yield from _running([*python, "-m", "venv", "--clear", str(environment)], "Making the environment", 0.0, 0.03)
    pip = [str(python_of(environment)), "-m", "pip", "--disable-pip-version-check", "--no-input", "install"]
    options = ["--progress-bar", "off", "--constraint", str(CONSTRAINTS)]
    yield from _running([*pip, *options, *wheels], "Installing the backend", 0.03, 1.0)
    (environment / COMPLETE).touch()
    return environment


def _running(command: list[str], line: str, start: float, end: float) -> Steps:
    """Run a process to its end; how far it is, is judged by the packages that it has named."""
    expected = max(len(CONSTRAINTS.read_text().split()) if CONSTRAINTS.exists() else 1, 1)
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")}
    flags = {"creationflags": 0x08000000} if sys.platform == "win32" else {}
    begin = log_path().stat().st_size
    with log_path().open("ab") as output:
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment, **flags
            )
        except OSError as error:
            raise TurboPortraitError("backend_not_started", f"{command[0]}: {error.strerror}") from error
    try:
        while process.poll() is None:
            said = _said(begin)
            share = min(sum(words.startswith("Collecting") for words in said) / expected, 0.95)
            last = f": {said[-1][:60]}" if said else ""
            yield Progress(line + last, fraction=start + (end - start) * share)
    finally:
        if process.poll() is None:
            process.terminate()
    if process.returncode:
        words = log_path().read_text(errors="replace").strip().splitlines()
        raise TurboPortraitError(
            "backend_not_started",
            sentence=f"Installing the backend failed: {words[-1][:200] if words else command[0]}.",
        )


def _said(begin: int) -> list[str]:
    """The lines on packages since `begin` (bytes) in the log."""
    with log_path().open("rb") as file:
        file.seek(begin)
        return [match[0] for match in _STEP.finditer(file.read(1 << 20).decode(errors="replace"))]


def draw(layout: bpy.types.UILayout) -> None:
    """The button, or why there is none, or that it is done."""
    reason = can_install()
    if installed_python():
        layout.label(text="The backend is installed here", icon="CHECKMARK")
    if reason:
        layout.label(text=reason, icon="INFO")
    else:
        text = "Install backend again" if installed_python() else "Install backend"
        layout.operator("turboportrait.install_backend", icon="IMPORT", text=text)
