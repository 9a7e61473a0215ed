"""The backend's log as a text, and the installation of its environment: real venv, real pip, a wheel of no weight."""

import hashlib
import os
import sys
import zipfile

import bpy
import pytest

from blender_addon.connection import backend_log, installer, tasks
from blender_addon.connection.link import TurboPortraitError, link
from blender_addon.connection.unpack_runtime import this_platform


@pytest.fixture
def state(addon, tmp_path, monkeypatch):
    monkeypatch.setenv("TURBOPORTRAIT_STATE", str(tmp_path / "state"))
    (tmp_path / "state").mkdir()
    return tmp_path / "state"


def test_the_log_is_a_text_that_follows_its_file(state):
    text = backend_log.show()
    assert "no log yet" in text.as_string()
    backend_log.log_path().write_text("first\n")
    backend_log.refresh()
    assert text.as_string().strip() == "first"
    with backend_log.log_path().open("a") as log:
        log.write("x" * backend_log.SHOWN_BYTES + "last\n")
    backend_log.refresh()
    assert text.as_string().strip().endswith("last")
    assert len(text.as_string()) <= backend_log.SHOWN_BYTES + 1
    bpy.data.texts.remove(text)
    backend_log.refresh()


def test_the_log_of_an_installation_is_shown_while_it_is_the_newer(state):
    for number, (path, words) in enumerate(
        ((backend_log.log_path(), "started"), (backend_log.install_log_path(), "Collecting torch"))
    ):
        path.write_text(words)
        os.utime(path, (number, number))
        assert backend_log.show().as_string() == words
    os.utime(backend_log.log_path(), (2, 2))
    backend_log.refresh()
    assert bpy.data.texts[backend_log.TEXT_NAME].as_string() == "started"
    bpy.data.texts.remove(bpy.data.texts[backend_log.TEXT_NAME])


def wheel_of(name: str, folder, **files) -> tuple[str, int]:
    """Make a wheel of no weight; its checksum and its size."""
    info = f"{name}-0.0.1.dist-info"
    path = folder / f"{name}-0.0.1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{name}_nothing.py", "")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.0.1\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")
    return hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size


@pytest.fixture
def layout(state, tmp_path, monkeypatch):
    """As in the extension's folder: our own wheel, and what is locked beside it, from an index of one package."""
    room, index = tmp_path / "extension", tmp_path / "index"
    room.mkdir()
    index.mkdir()
    wheel_of("turboportrait3d", room)
    checksum, size = wheel_of("little", index)
    locked = room / f"{this_platform()}-{sys.version_info[0]}{sys.version_info[1]}-cpu.txt"
    options = f"--only-binary :all:\n--no-index\n--find-links {index.as_uri()}"
    locked.write_text(f"# {size} bytes\n{options}\nlittle==0.0.1 --hash=sha256:{checksum}\n")
    monkeypatch.setattr(installer, "PACKED", room)
    monkeypatch.setattr(installer, "can_install", lambda: "")
    return room


def install(place):
    """The work of the button."""
    return installer.install(place, installer.find_python().command, installer.offered().packages)


def test_an_environment_is_installed_and_then_used(layout, state, monkeypatch, capsys, tmp_path):
    """By the button, which in a Blender without a window has the console tell how far it is.

    Blender works in the folder of the .blend that it was opened with: what lies there is not run.
    """
    for name in ("venv.py", "pip.py", "ensurepip.py"):
        (tmp_path / name).write_text("raise SystemExit('a stranger’s code was run')")
    monkeypatch.chdir(tmp_path)
    assert installer.installed_python() is None
    assert bpy.ops.turboportrait.install_backend() == {"FINISHED"}
    environment = state / "environment"
    assert installer.installed_python() == str(installer.python_of(environment / "venv"))
    assert list(environment.glob("**/turboportrait3d_nothing.py"))
    assert list(environment.glob("**/little_nothing.py"))
    said = capsys.readouterr().out
    assert said.index("For the CPU: 0.0 GB to fetch") < said.index("Making the environment")
    assert str(environment) in link.message

    assert bpy.ops.turboportrait.remove_backend() == {"FINISHED"}
    assert not environment.exists()
    assert installer.installed_python() is None
    assert not bpy.ops.turboportrait.remove_backend.poll()


def test_a_cancelled_installation_ends_its_process_and_counts_for_nothing(layout):
    link.spawn(install(installer.folder()), cancellable=True, timeout=60)
    link.advance()
    assert bpy.ops.turboportrait.cancel.poll()
    bpy.ops.turboportrait.cancel()
    assert not link.can_cancel
    assert (link.message, link.failed) == ("Cancelled", False)
    assert installer.installed_python() is None
    assert not (installer.folder() / "venv").exists()


def test_a_package_that_is_not_the_locked_one_is_refused_and_nothing_is_left(layout):
    locked = installer.offered().packages
    locked.write_text(locked.read_text().replace("sha256:", "sha256:0000")[:-5] + "\n")
    with pytest.raises(TurboPortraitError, match="failed"):
        tasks.complete(install(installer.folder()), 120)
    assert installer.installed_python() is None
    assert not (installer.folder() / "venv").exists()


def test_a_python_that_cannot_be_run_is_told(layout, tmp_path):
    with pytest.raises(TurboPortraitError, match="nowhere"):
        tasks.complete(installer.install(installer.folder(), ("/nowhere/python",), installer.offered().packages), 120)
    (tmp_path / "python").write_text("")
    with pytest.raises(TurboPortraitError, match="right to run"):
        tasks.complete(
            installer.install(installer.folder(), (str(tmp_path / "python"),), installer.offered().packages), 120
        )


def test_a_disk_without_room_is_told_before_anything_is_fetched(layout):
    locked = installer.offered().packages
    locked.write_text(f"# {1 << 50} bytes\n" + locked.read_text())
    with pytest.raises(TurboPortraitError, match="MB are needed"):
        tasks.complete(install(installer.folder()), 120)
    assert not (installer.folder() / "venv").exists()


def test_only_what_was_installed_here_is_removed(layout, tmp_path):
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents" / "thesis.doc").write_text("mine")
    with pytest.raises(TurboPortraitError, match="by hand"):
        tasks.complete(installer.remove(tmp_path / "documents"), 60)
    tasks.complete(install(tmp_path / "place"), 120)
    (tmp_path / "place" / "thesis.doc").write_text("mine")
    tasks.complete(installer.remove(tmp_path / "place"), 60)
    assert [path.name for path in (tmp_path / "place").iterdir()] == ["thesis.doc"]
    assert (tmp_path / "documents" / "thesis.doc").exists()


@pytest.mark.parametrize(
    ("there", "gpu", "chosen"),
    [(("cpu", "cuda"), False, "cpu"), (("cpu", "cuda"), True, "cuda"), (("cuda",), False, "cuda"), ((), True, None)],
)
def test_torchs_build_is_the_machines(tmp_path, there, gpu, chosen):
    for build in there:
        (tmp_path / f"linux-x64-313-{build}.txt").write_text("# 1 bytes\n")
    found = installer.locked_packages((3, 13), "linux-x64", gpu, tmp_path)
    assert (found and found.stem) == (chosen and f"linux-x64-313-{chosen}")


@pytest.mark.parametrize("name", ["thesis.doc", "pyvenv.cfg", installer.COMPLETE])
def test_a_folder_with_anything_of_others_in_it_stays_as_it_is(layout, tmp_path, name):
    place = tmp_path / "documents"
    place.mkdir()
    (place / name).write_text("mine")
    with pytest.raises(TurboPortraitError, match="other files"):
        tasks.complete(install(place), 120)
    assert [path.name for path in place.iterdir()] == [name]
    assert (place / name).read_text() == "mine"


def test_a_folder_of_ours_is_installed_into_again(layout, tmp_path):
    """Where Blender was killed in the middle, our mark and what there was are left."""
    rest = tmp_path / "place" / "venv" / "rest"
    rest.parent.mkdir(parents=True)
    rest.touch()
    (tmp_path / "place" / installer.OURS).touch()
    assert tasks.complete(install(tmp_path / "place"), 120)
    assert not rest.exists()


def test_a_checkout_says_that_it_needs_no_installation(state):
    assert "checkout" in installer.can_install()
    assert not bpy.ops.turboportrait.install_backend.poll()


def test_progress_follows_what_pip_says_and_unpacks(layout, tmp_path):
    environment = tmp_path / "environment"
    installed = environment / ("Lib" if sys.platform == "win32" else "lib/python3.11") / "site-packages"
    installed.mkdir(parents=True)
    locked = tmp_path / "locked.txt"
    locked.write_text("\n".join(f"p{number}==1" for number in range(10)))
    said = (
        "Processing ./turboportrait3d.whl\nCollecting numpy<2 (from x)\n  Downloading numpy-1.26.4-cp311.whl (3 MB)\n"
    )
    seen = [installer._progress(environment, locked, ""), installer._progress(environment, locked, said)]
    assert seen[1].line == "Downloading the backend: numpy"
    said += "Installing collected packages: numpy, scipy, torch, zipp\n"
    for name in ("pip", "numpy", "scipy", "torch", "zipp"):
        (installed / f"{name}-1.dist-info").mkdir()
        seen.append(installer._progress(environment, locked, said))
    assert seen[3].line == "Unpacking the backend: 2 of 4 packages"
    fractions = [each.fraction for each in seen]
    assert fractions == sorted(fractions)
    assert fractions[0] == 0
    assert fractions[-1] == 1
