"""Install full backend: an environment of its own with torch, with exactly the packages that were locked.

It runs as processes after each other, `venv` and `pip`, whose output goes to a log file; nothing here waits.
"""

from __future__ import annotations

import contextlib
import ctypes.util
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import bpy
from bpy.app.translations import pgettext_iface as iface_
from bpy.app.translations import pgettext_rpt as rpt_

from backend.client import TurboPortraitError
from backend.client.discovery import state_folder
from backend.client.isolation import find_program, isolated, python_module

from ..package_name import ADDON
from . import bundled
from .logged_process import clear_install_log, run_logged
from .tasks import Task, TaskProgress
from .unpack_runtime import this_platform

PACKED = Path(__file__).parents[1] / "environment"
"""What can be installed for which computer (tools/lock_full_backend.py), and in the extension's zip our own wheel."""
PYTHONS = ((3, 11), (3, 13))
"""Pythons that all of the backend's packages have wheels for, and a Blender has."""
OURS = "turboportrait-environment"
"""A file that says that a folder was made by us, so that what lies in it may be thrown away."""
COMPLETE = "turboportrait-complete"
"""A file that says that an environment was installed to its end."""
_COLLECTING = re.compile(r"^(?:Collecting|Processing) ([\w.-]+)", re.MULTILINE)
_COLLECTED = re.compile(r"^Installing collected packages: (.+)$", re.MULTILINE)
COLLECTING_SHARE = 0.5
"""Of the installation; the rest is unpacking."""
ON_DISK = 4.0
"""Most bytes on the disk while it is installed, by bytes of the download."""
_REMOVE = "import shutil, sys; shutil.rmtree(sys.argv[1])"


class Python(NamedTuple):
    """A Python that the backend can have."""

    command: tuple[str, ...]
    version: tuple[int, int]


def locked_packages(
    version: tuple[int, int], platform: str | None = None, gpu: bool | None = None, folder: Path | None = None
) -> Path | None:
    """The file of all packages with their checksums for a Python, a platform such as linux-x64, with a GPU or without.

    None where there is none. Where only one build of torch is to be had, it is that one: both know the CPU.
    """
    name = f"{platform or this_platform()}-{version[0]}{version[1]}"
    builds = ("cuda", "cpu") if (has_gpu() if gpu is None else gpu) else ("cpu", "cuda")
    files = [(folder or PACKED) / f"{name}-{build}.txt" for build in builds]
    return next((file for file in files if file.is_file()), None)


@cache
def has_gpu() -> bool:
    """NVIDIA's driver is installed."""
    return bool(ctypes.util.find_library("nvcuda" if sys.platform == "win32" else "cuda"))


def download_bytes(packages: Path) -> int:
    """What is fetched, by the first line of a file of packages."""
    with packages.open() as file:
        return int(file.readline().split()[1])


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
    """Empty if `Install full backend` can work, else a sentence on why not."""
    if not _own_wheels():
        return rpt_("This add-on runs from a checkout, which has its own environment: make setup")
    if not bpy.app.online_access:
        return rpt_("Blender may not use the network: allow online access in its system preferences")
    if find_python() is None:
        return rpt_("No Python 3.11 or 3.13 was found: install one from python.org, then try again")
    if offered() is None:
        return rpt_("The full backend has no packages for this computer ({name})").format(name=this_platform())
    return ""


class Offer(NamedTuple):
    """What would be installed: `packages` as `locked_packages`, by this `python`."""

    python: Python
    packages: Path


def offered() -> Offer | None:
    """What can be installed; None where nothing can."""
    python = find_python()
    packages = locked_packages(python.version) if python else None
    return Offer(python, packages) if python and packages else None


def find_python() -> Python | None:
    """Blender's own Python if it fits, else one on the path."""
    if sys.version_info[:2] in PYTHONS:
        return Python((bundled.own_python(),), sys.version_info[:2])
    for version in PYTHONS:
        if found := find_program(f"python{version[0]}.{version[1]}"):
            return Python((found,), version)
    if sys.platform == "win32" and (found := find_program("py")):
        return Python((found, "-3.11"), PYTHONS[0])
    return None


def install(place: Path, python: Sequence[str], packages: Path) -> Task:
    """A task whose result is a complete environment in the folder `place`.

    Given up or failed, it ends the process at work and throws away what there is.

    Args:
        packages: the file of `locked_packages`.

    Raises:
        TurboPortraitError: backend_not_started, with the last line of the log, or where the folder is not ours;
            disk_full.
    """
    _claim(place)
    environment = place / "venv"
    _require_room(place, packages)
    (place / COMPLETE).unlink(missing_ok=True)
    clear_install_log()
    making = rpt_("Making the environment")
    venv = [*python, "-P", "-m", "venv", "--clear", str(environment.absolute())]
    try:
        yield from run_logged(venv, lambda said: TaskProgress(making, fraction=0))
        pip = [*python_module("pip", python_of(environment)), "--disable-pip-version-check", "--no-input", "install"]
        pip += ["--progress-bar", "off", "--no-deps"]
        locked = [*pip, "--require-hashes", "--only-binary", ":all:", "--requirement", str(packages)]
        yield from run_logged(locked, lambda said: _progress(environment, packages, said))
        ours = [*pip, "--no-index", *map(str, _own_wheels())]
        yield from run_logged(ours, lambda said: TaskProgress(rpt_("Unpacking the backend"), fraction=1))
        (place / COMPLETE).touch()
    finally:
        if not (place / COMPLETE).exists():
            _throw_away(environment)
    return place


def remove(place: Path) -> Task:
    """A task that takes an installation away, and the folder if nothing else is in it.

    Raises:
        TurboPortraitError: backend_not_started, where the folder is not ours or a file can't be removed.
    """
    if not (place / OURS).is_file():
        raise TurboPortraitError(
            "backend_not_started",
            sentence=rpt_("The folder was not made by Install full backend: {folder}.").format(folder=place),
            hint=rpt_("Remove it by hand if it is to go."),
        )
    (place / COMPLETE).unlink(missing_ok=True)
    removing = TaskProgress(rpt_("Removing the full backend"))
    for rest in ("venv", *(path.name for path in place.glob("venv*.gone"))):
        if (place / rest).exists():
            command = (bundled.own_python(), "-I", "-S", "-c", _REMOVE, str((place / rest).absolute()))
            yield from run_logged(command, lambda said: removing, "The full backend was not removed. {reason}.")
    (place / OURS).unlink()
    if not any(place.iterdir()):
        place.rmdir()


def _own_wheels() -> list[Path]:
    return sorted(PACKED.glob("turboportrait3d*.whl"))


def _throw_away(environment: Path) -> None:
    """Out of the way at once; a process of its own removes it, which takes a while."""
    gone = environment.with_name(f"venv.{secrets.token_hex(4)}.gone")
    # What is still in use, as Windows has it, is cleared by the next installation.
    with contextlib.suppress(OSError):
        environment.rename(gone)
        command = [bundled.own_python(), "-I", "-S", "-c", _REMOVE, str(gone.absolute())]
        subprocess.Popen(**isolated(command), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _require_room(place: Path, packages: Path) -> None:
    """Raises TurboPortraitError, disk_full, with what is needed."""
    needed, free = int(ON_DISK * download_bytes(packages)), shutil.disk_usage(place).free
    if free < needed:
        said = rpt_("{folder} has {free} MB free, {needed} MB are needed")
        raise TurboPortraitError("disk_full", said.format(folder=place, free=free >> 20, needed=needed >> 20))


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


def _progress(environment: Path, packages: Path, said: str) -> TaskProgress:
    """How far pip is: it names each package that it fetches, then unpacks all of them without a word."""
    names = _COLLECTING.findall(said)
    collected = _COLLECTED.search(said)
    if collected is None:
        expected = packages.read_text().count("==")
        line = rpt_("Downloading the backend: {package}").format(package=names[-1] if names else "pip")
        return TaskProgress(line, fraction=COLLECTING_SHARE * min(len(names) / max(expected, 1), 1))
    count = len(collected[1].split(", "))
    library = "Lib" if sys.platform == "win32" else "lib/python3*"
    there = sum(1 for _ in environment.glob(f"{library}/site-packages/*.dist-info"))
    line = rpt_("Unpacking the backend: {count} of {packages} packages").format(count=min(there, count), packages=count)
    return TaskProgress(line, fraction=COLLECTING_SHARE + (1 - COLLECTING_SHARE) * min(there / count, 1))


def draw(layout: bpy.types.UILayout) -> None:
    """The buttons, or why there are none, or that it is done."""
    reason = can_install()
    if installed_python():
        layout.label(text="The full backend is installed here", icon="CHECKMARK")
        layout.operator("turboportrait.remove_backend", icon="TRASH")
    elif reason:
        layout.label(text=reason, icon="INFO", translate=False)
    else:
        draw_offer(layout)


def draw_offer(layout: bpy.types.UILayout) -> None:
    """What is fetched, and the button."""
    if offer := offered():
        layout.label(text=size_text(offer.packages), icon="INFO", translate=False)
    layout.operator("turboportrait.install_backend", icon="IMPORT")


def size_text(packages: Path) -> str:
    """What an installation takes, for the user."""
    size = download_bytes(packages) / 1e9
    if packages.stem.endswith("-cuda"):
        said = iface_("For NVIDIA's GPUs: {fetched:.1f} GB to fetch, {needed:.0f} GB to have free")
    else:
        said = iface_("For the CPU: {fetched:.1f} GB to fetch, {needed:.0f} GB to have free")
    return said.format(fetched=size, needed=ON_DISK * size)
