"""Unpacking and starting by a Python of each Blender that has nothing but its standard library, in an empty root.

`make try-zip BARE_ZIP=dist/turboportrait3d-...-linux-x64-py313.zip` has a built zip register a portrait there.
"""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import skimage.data
import skimage.io
from test_runtime_zip import LITTLE, SCRIPT, packed

ZIP = os.environ.get("TURBOPORTRAIT_BARE_ZIP", "")
CHROOT, UNSHARE = shutil.which("chroot"), shutil.which("unshare")
SYSTEM_LIBRARIES = (
    *("libstdc++.so.6", "libgcc_s.so.1", "libm.so.6", "libz.so.1"),
    *("libdl.so.2", "libpthread.so.0", "librt.so.1", "libutil.so.1"),
)
"""What manylinux lets wheels expect of every Linux; a Python may open them, too."""
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


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.skipif(not ZIP or not UNSHARE, reason="TURBOPORTRAIT_BARE_ZIP names no zip: make try-zip")
def test_a_built_zip_registers_a_portrait_where_there_is_nothing_else(tmp_path):
    """Without a network, by a Python of the zip's version."""
    version = re.sub(r".*-py(\d)(\d+)\.zip", r"\1.\2", ZIP)
    root = tmp_path / "root"
    program = bare_root(found(version), root)
    known = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=True).stdout
    for name in SYSTEM_LIBRARIES:
        library = Path(re.search(rf"{re.escape(name)} \(libc6,x86-64.*=> (\S+)", known)[1])
        (root / library.parent.relative_to("/")).mkdir(parents=True, exist_ok=True)
        shutil.copy(library, root / library.relative_to("/"))
    with zipfile.ZipFile(ZIP) as archive:
        archive.extractall(root / "extension")
    for name in ("proc", "dev/shm"):
        (root / name).mkdir(parents=True)
    os.mknod(root / "dev" / "null", 0o020666, os.makedev(1, 3))
    skimage.io.imsave(root / "astronaut.png", skimage.data.astronaut(), check_contrast=False)

    def run(*arguments: str) -> None:
        alone = 'ip link set lo up; mount -t proc proc "$0/proc"; exec env -i HOME=/home "$@"'
        command = [UNSHARE, "--net", "--mount", "sh", "-c", alone, root, CHROOT, root, program, "-I", "-S", *arguments]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    run("/extension/connection/unpack_runtime.py", "/extension/runtime", "/home/Büro 日本/runtime/abc")
    launcher = "/home/Büro 日本/runtime/abc/turboportrait_backend.py"
    run(launcher, "compile")
    run(launcher, "register", "/astronaut.png", "--preview", "/avatar.png")
    assert (root / "avatar.png").exists()
