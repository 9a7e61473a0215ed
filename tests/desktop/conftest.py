"""A real Blender window: any Blender that TURBOPORTRAIT_DESKTOP_BLENDER names, as a command that takes its arguments.

It must see the system's temporary folder and this machine's loopback as the tests do; this checkout it need not see,
because a Blender in a sandbox may be shown an older one. The extension is built from this checkout and installed into
it; scenarios (`inside/`) then run in its window.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import skimage.data
import skimage.io
from commands import Commands

from backend.client import BackendProcess

collect_ignore = ["inside"]
ROOT = Path(__file__).parents[2]
INSIDE = Path(__file__).parent / "inside"
VARIABLE = "TURBOPORTRAIT_DESKTOP_BLENDER"
SHARED = tempfile.gettempdir()


@pytest.fixture(scope="session")
def blender() -> list[str]:
    """The command that starts Blender with a window."""
    command = shlex.split(os.environ.get(VARIABLE, ""))
    if not command:
        pytest.skip(f"{VARIABLE} names no Blender with a window: set it to its command, such as 'blender'")
    return command


@pytest.fixture(scope="session")
def extension(tmp_path_factory) -> Path:
    """The extension's zip, built from this checkout, where Blender sees it."""
    subprocess.run([sys.executable, ROOT / "tools" / "build_extension.py"], check=True, capture_output=True)
    (archive,) = (ROOT / "dist").glob("*.zip")
    return Path(shutil.copy(archive, tmp_path_factory.mktemp("extension")))


@pytest.fixture(scope="session")
def scenarios(tmp_path_factory) -> Path:
    """The scripts to run in the window, where Blender sees them."""
    return Path(shutil.copytree(INSIDE, tmp_path_factory.mktemp("scenarios") / INSIDE.name))


@pytest.fixture(scope="session")
def installed(blender, extension):
    """The zip is installed and enabled in that Blender."""
    extensions = [*blender, "--background", "--command", "extension"]
    command = [*extensions, "install-file", "-r", "user_default", "-e", str(extension)]
    run = subprocess.run(command, cwd=SHARED, capture_output=True, text=True, timeout=120)
    assert "installed" in run.stdout.lower(), run.stdout + run.stderr


@pytest.fixture(scope="session")
def state(tmp_path_factory) -> Path:
    """The state folder that Blender and its backend share."""
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="session")
def backend(state) -> BackendProcess:
    """The real backend with the compact preset; Blender finds it as one that runs already."""
    process = BackendProcess.start(endpoint_path=state / "backend.json", log=state / "backend.log")
    process.wait_ready()
    yield process
    process.stop()


@pytest.fixture
def commands() -> Commands:
    """What runs `turboportrait` for the window."""
    with Commands() as server:
        yield server
        server.shutdown()


@pytest.fixture(scope="session")
def portrait(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("portrait") / "astronaut.png"
    skimage.io.imsave(path, skimage.data.astronaut(), check_contrast=False)
    return path


@pytest.fixture
def play(blender, installed, scenarios, state, tmp_path):
    """play(scenario, **arguments) -> what the scenario returned, with its files in tmp_path."""

    def run(scenario: str, **arguments) -> dict:
        report = tmp_path / "report.json"
        given = {"folder": str(tmp_path), "report": str(report), "state": str(state), **arguments}
        size = ["--window-geometry", "0", "0", "1440", "900"]
        command = [*blender, *size, "--python", str(scenarios / f"{scenario}.py"), "--", json.dumps(given)]
        process = subprocess.run(command, cwd=SHARED, capture_output=True, text=True, timeout=400)
        assert report.exists(), process.stdout[-3000:] + process.stderr[-3000:]
        outcome = json.loads(report.read_text())
        assert "error" not in outcome, outcome["error"] + process.stdout[-3000:]
        errors = [line for line in process.stderr.splitlines() if "Traceback" in line or "Error:" in line]
        assert not errors, process.stderr[-3000:]
        return outcome["result"]

    return run
