"""turboportrait doctor: does everything that is needed work, and what to do if not."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import typer
from rich.console import Console

_PACKAGES = (
    *("numpy", "pyzmq", "msgspec", "safetensors", "onnxruntime", "opencv-python-headless"),
    *("numba", "scipy", "pillow", "psutil"),
)
_ALSO = {"opencv-python-headless": ("opencv-python", "opencv-contrib-python")}
"""Packages that bring the same modules."""
_PYTHON = (3, 11)


class _Problem(Exception):
    """What is wrong, and what to do."""


def doctor() -> None:
    """Check Python, the packages, the models and that the backend starts; say what to do about what is wrong."""
    console = Console()
    failed = 0
    checks: list[tuple[str, Callable[[], str], bool]] = [
        ("Python", _python, True),
        ("packages", _packages, True),
        ("runtime", _runtime, True),
        ("models", _models, True),
        ("backend", _backend, True),
        ("Blender as a Python module", _bpy, False),
    ]
    for name, check, needed in checks:
        try:
            found = check()
            console.print(f"[green]ok[/]       {name}: {found}", highlight=False, soft_wrap=True)
        except _Problem as problem:
            failed += needed
            mark = "[red]failed[/]  " if needed else "[yellow]missing[/] "
            console.print(f"{mark} {name}: {problem}", highlight=False, soft_wrap=True)
    if failed:
        raise typer.Exit(1)


def _python() -> str:
    if sys.version_info < _PYTHON:
        raise _Problem("Python 3.11 or newer is needed: make the environment with it (`make setup`).")
    return f"{sys.version.split()[0]} at {sys.executable}"


def _packages() -> str:
    found, missing = [], []
    for name in _PACKAGES:
        installed = filter(_version, (name, *_ALSO.get(name, ())))
        if package := next(installed, None):
            found.append(f"{package} {_version(package)}")
        else:
            missing.append(name)
    if missing:
        raise _Problem(f"{', '.join(missing)} not installed: run `pip install 'turboportrait3d[light]'`.")
    return ", ".join(found)


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _runtime() -> str:
    from backend.models.runtime import best_device, missing_of_full

    light = "compact and the bust run on ONNX Runtime, on the CPU"
    if missing := missing_of_full():
        return f"light: {light}; {', '.join(missing)} would add GPUs, turbo, GPAvatar and training (the full runtime)"
    device = best_device()
    return f"full, torch {_version('torch')} on {device}" + (f"; {light}" if device == "cpu" else "")


def _models() -> str:
    from backend.pipeline.catalog import Catalog
    from backend.protocol.errors import TurboPortraitError
    from flame import load_head_model

    try:
        head = load_head_model()
    except (OSError, ValueError, TurboPortraitError) as error:
        raise _Problem(f"the open head cannot be read ({error}): install the package again.") from error
    catalog = Catalog.default()
    presets = [name for name in catalog.presets if catalog.preset_ready(name)]
    if not presets:
        raise _Problem("no refiner preset has its weights: install the package again, or train one.")
    return f"open head of {len(head.v_template)} vertices; presets ready: {', '.join(presets)}"


def _backend() -> str:
    from backend.client import BackendProcess, Client, TurboPortraitError

    with tempfile.TemporaryDirectory(prefix="turboportrait-") as name:
        folder = Path(name)
        try:
            process = BackendProcess.start(log=folder / "backend.log", endpoint_path=folder / "backend.json")
            try:
                with Client(process.wait_ready(), name="doctor") as client:
                    hello = client.connect()
                    return f"starts and answers, protocol {hello.protocol_version}"
            finally:
                process.stop()
        except TurboPortraitError as error:
            raise _Problem(f"{error.sentence} {error.hint}") from error


def _bpy() -> str:
    if not importlib.util.find_spec("bpy"):
        raise _Problem("only the demo and tests need it: `pip install bpy==5.0.1`.")
    return f"bpy {importlib.metadata.version('bpy')}"
