"""The backend that comes in the zip: the three clicks, and everything that can be wrong with it, told in the panel.

Real unpacking, real processes; the wheels are little ones whose backend is the tests' own.
"""

import hashlib
import json
import shutil
import sys
import zipfile
from pathlib import Path, PurePosixPath, PureWindowsPath

import bpy
import pytest
from watching import stop_backend

from blender_addon.connection import bundled, preferences
from blender_addon.connection.link import link
from blender_addon.connection.unpack_runtime import this_platform

APP = """
import os, sys

def main():
    if sys.argv[1] == "compile":
        print("compiling 1 of 1")
    else:
        assert sys.flags.isolated and not any("site-packages" in folder for folder in sys.path), sys.path
        import numpy
        assert numpy.OURS
        os.execv({python!r}, [{python!r}, {script!r}, *sys.argv[2:]])
"""
STRANGER = "raise SystemExit('a stranger’s code was run')"


@pytest.fixture
def brought(addon, little_command, tmp_path, monkeypatch):
    """An extension that brings a backend, on a path with spaces and letters of two alphabets; nothing else is there.

    Beside it lie another extension's `backend` and `numpy`, where Blender and Python's own variables would find them.
    """
    home = tmp_path / "Mein Büro 日本"
    room, others = home / "extension" / "runtime", home / "others"
    room.mkdir(parents=True)
    others.mkdir()
    python, script = little_command
    members = {
        "backend/__init__.py": "",
        "backend/commands/__init__.py": "",
        "backend/commands/app.py": APP.format(python=python, script=script),
        "numpy.py": "OURS = True",
    }
    with zipfile.ZipFile(room / "all-1-py3-none-any.whl", "w") as wheel:
        for name, text in members.items():
            wheel.writestr(name, text)
    checksum = hashlib.sha256((room / "all-1-py3-none-any.whl").read_bytes()).hexdigest()
    tell(room, wheels={"all-1-py3-none-any.whl": checksum})
    for name in ("backend", "numpy", "zipfile"):
        (others / f"{name}.py").write_text(STRANGER)
    monkeypatch.chdir(others)
    monkeypatch.setenv("PYTHONPATH", str(others))
    monkeypatch.setenv("PATH", str(others))
    monkeypatch.setenv("TURBOPORTRAIT_STATE", str(home / "state"))
    monkeypatch.setattr(bundled, "PACKED", room)
    bundled.folder.cache_clear()
    yield room
    stop_backend()
    bundled.folder.cache_clear()


def tell(room: Path, **changed) -> None:
    """Write what a packed runtime says of itself, or change it."""
    file = room / "runtime.json"
    told = {"platform": this_platform(), "python": list(sys.version_info[:2]), "bytes": 1000}
    told |= json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps(told | changed))


def start() -> str:
    """Press Start; what the panel says then."""
    try:
        bpy.ops.turboportrait.start_backend()
    except RuntimeError:
        assert link.failed
    return link.message


def runtimes() -> list[str]:
    """What lies where backends are unpacked."""
    folder = bundled.folder().parent
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def test_three_clicks(brought, scene, little_photo, tmp_path):
    """Start, register, F12, stop; nothing is written beside the extension."""
    before = sorted(path.name for path in brought.parent.rglob("*"))
    assert preferences.connection().command == bundled.command("serve")
    start()
    assert link.ready, link.message
    (tmp_path / "Ada.png").write_bytes(little_photo)
    bpy.ops.turboportrait.register_portrait(filepath=str(tmp_path / "Ada.png"), maker="little")
    assert any(thing.turboportrait.is_head for thing in scene.objects)
    scene.render.engine = "TURBOPORTRAIT3D"
    scene.render.resolution_x = scene.render.resolution_y = 64
    scene.render.filepath = str(tmp_path / "f12.png")
    bpy.ops.render.render(write_still=True)
    assert (tmp_path / "f12.png").exists()
    assert bpy.ops.turboportrait.stop_backend() == {"FINISHED"}
    assert not link.owns_process
    assert sorted(path.name for path in brought.parent.rglob("*")) == before
    assert runtimes() == [bundled.folder().name]


def test_an_extension_that_can_only_be_read(brought):
    """A second user of one machine, whose administrator has installed it."""
    for path in (*brought.parent.rglob("*"), brought.parent):
        path.chmod(0o555 if path.is_dir() else 0o444)
    start()
    assert link.ready, link.message


def without_its_wheel(room: Path) -> None:
    (room / "all-1-py3-none-any.whl").unlink()


def with_another_wheel(room: Path) -> None:
    (room / "all-1-py3-none-any.whl").write_bytes(b"PK")


def for_another_python(room: Path) -> None:
    tell(room, python=[3, 99])


def for_another_platform(room: Path) -> None:
    tell(room, platform="plan9-x64")


def larger_than_the_disk(room: Path) -> None:
    tell(room, bytes=1 << 60)


def where_nothing_can_be_written(room: Path) -> None:
    bundled.folder().parent.parent.mkdir(parents=True)
    bundled.folder().parent.write_text("a file where the folder should be")


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        (without_its_wheel, "virus scanners"),
        (with_another_wheel, "install the extension again"),
        (for_another_python, "Python 3.99"),
        (for_another_platform, "install the zip that is for it"),
        (larger_than_the_disk, "make room"),
        (where_nothing_can_be_written, "not unpacked"),
    ],
)
def test_what_cannot_be_unpacked_is_told_and_nothing_is_left(brought, harm, sentence):
    harm(brought)
    said = start()
    assert link.failed
    assert not link.ready
    assert sentence in said
    assert runtimes() == []


def test_what_was_taken_away_later_is_told_and_comes_back_by_start(brought):
    start()
    stop_backend()
    (bundled.folder() / "numpy.py").unlink()
    said = start()
    assert link.failed
    assert "numpy.py" in said
    assert "press Start" in said
    start()
    assert link.ready, link.message


def test_a_python_without_the_right_to_run_is_told(brought, tmp_path, monkeypatch):
    shutil.copy(sys.executable, tmp_path / "python3")
    (tmp_path / "python3").chmod(0o644)
    monkeypatch.setattr(bundled, "own_python", lambda: str(tmp_path / "python3"))
    said = start()
    assert link.failed
    assert "right to run" in said
    assert runtimes() == []


def test_a_disk_that_forbids_programs_is_told(brought):
    """Its shared libraries can't be opened."""
    start()
    stop_backend()
    file = bundled.folder() / "backend" / "commands" / "app.py"
    file.write_text("raise ImportError('libzmq.so: failed to map segment')".ljust(file.stat().st_size))
    said = start()
    assert link.failed
    assert "may forbid programs" in said


@pytest.mark.parametrize(
    ("executable", "prefix", "system", "python"),
    [
        (r"C:\Blender 4.2\4.2\python\bin\python.exe", r"C:\Blender 4.2\4.2\python", "win32", None),
        (r"C:\Blender\blender.exe", r"C:\Blender\4.5\python", "win32", r"C:\Blender\4.5\python\bin\python.exe"),
        ("/Applications/Blender.app/Contents/Resources/5.1/python/bin/python3.13", "/x", "darwin", None),
        ("/Applications/Blender.app/Contents/MacOS/Blender", "/A/5.1/python", "darwin", "/A/5.1/python/bin/python3.13"),
        ("/opt/blender/4.2/python/bin/python3.11", "/opt/blender/4.2/python", "linux", None),
        ("/usr/bin/blender", "/usr", "linux", "/usr/bin/python3.13"),
    ],
)
def test_the_start_command_of_each_system(executable, prefix, system, python):
    """Blender's own Python, apart from variables and packages; the launcher is one argument whatever its letters."""
    kind = PureWindowsPath if system == "win32" else PurePosixPath
    found = bundled.own_python(executable, prefix, system, (3, 13))
    assert found == (python or executable)
    launcher = kind(prefix) / "extensions" / "Über 日本" / "turboportrait_backend.py"
    assert bundled.isolated_python(found, launcher, "serve") == (found, "-I", "-S", str(launcher), "serve")
