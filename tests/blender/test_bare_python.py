"""Unpacking and starting by a Python of each Blender that has nothing but its standard library, in an empty root."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from test_runtime_zip import LITTLE, SCRIPT, packed

CHROOT = shutil.which("chroot")
pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0 or not CHROOT, reason="an empty root needs root"
)
LEFT_OUT = (
    "site-packages",
    "test",
    "tests",
    "idlelib",
    "ensurepip",
    "__pycache__",
    "config-*",
    "lib2to3",
    "turtledemo",
)


def found(version: str) -> Path | None:
    """A Python of this version: this one's own, the path's, or pyenv's."""
    places = [Path(sys.base_prefix) / "bin", *map(Path, os.environ["PATH"].split(os.pathsep))]
    places += sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin"))
    for place in places:
        python = place / f"python{version}"
        if python.is_file() and python.read_bytes()[:4] == b"\x7fELF":
            return python
    return None


def libraries(file: Path) -> list[Path]:
    """The shared libraries that a program or library opens, and the loader."""
    said = subprocess.run(["ldd", file], capture_output=True, text=True).stdout
    return [Path(name) for name in re.findall(r"(/\S+) \(0x", said)]


def bare_root(python: Path, root: Path) -> Path:
    """An empty root with this Python, its standard library and what those open; the Python's path in it."""
    ask = "import sys, os; print(sys.base_prefix); print(os.path.dirname(os.__file__)); print(sys.executable)"
    answers = subprocess.run([python, "-I", "-c", ask], capture_output=True, text=True, check=True).stdout.split()
    library, program = Path(answers[1]), Path(answers[2])
    inside = root / library.relative_to("/")
    shutil.copytree(library, inside, ignore=shutil.ignore_patterns(*LEFT_OUT))
    for file in {
        program,
        *(found for each in (program, *inside.glob("lib-dynload/*.so")) for found in libraries(each)),
    }:
        place = root / file.relative_to("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, place)
    (root / "tmp").mkdir()
    return program


@pytest.mark.slow
@pytest.mark.parametrize("version", ["3.11", "3.13"])
def test_it_unpacks_and_starts_where_there_is_nothing_else(version, tmp_path):
    python = found(version)
    if python is None:
        pytest.skip(f"no Python {version} at hand")
    root = tmp_path / "root"
    program = bare_root(python, root)
    packed(root / "packed", LITTLE, python=[*map(int, version.split("."))])
    for script in (SCRIPT, SCRIPT.with_name("launcher.py")):
        shutil.copy(script, root)

    def run(*arguments: str) -> subprocess.CompletedProcess:
        command = [CHROOT, root, program, "-I", "-S", *arguments]
        return subprocess.run(command, env={}, capture_output=True, text=True)

    done = run("/unpack_runtime.py", "/packed", "/home/Büro 日本/runtime/abc")
    assert done.returncode == 0, done.stderr
    started = run("/home/Büro 日本/runtime/abc/turboportrait_backend.py", "serve")
    assert started.stdout == "here ['serve']\n", started.stderr
