"""The backend's log as a text, and the installation of its environment: real venv, real pip, a wheel of no weight."""

import os
import sys
import zipfile

import bpy
import pytest

from blender_addon.connection import backend_log, installer, tasks
from blender_addon.connection.link import TurboPortraitError, link


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


@pytest.fixture
def layout(state, tmp_path, monkeypatch):
    """As in the extension's folder: a wheel, and constraints."""
    room = tmp_path / "extension"
    room.mkdir()
    (room / "constraints.txt").write_text("numpy==1.26.4\n")
    with zipfile.ZipFile(room / "turboportrait3d-0.0.1-py3-none-any.whl", "w") as wheel:
        info = "turboportrait3d-0.0.1.dist-info"
        wheel.writestr("turboportrait_nothing.py", "")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: turboportrait3d\nVersion: 0.0.1\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")
    monkeypatch.setattr(installer, "PACKED", room)
    return room


def test_an_environment_is_installed_and_then_used(layout, state, monkeypatch, capsys, tmp_path):
    """By the button, which in a Blender without a window has the console tell how far it is.

    Blender works in the folder of the .blend that it was opened with: what lies there is not run.
    """
    for name in ("venv.py", "pip.py", "ensurepip.py"):
        (tmp_path / name).write_text("raise SystemExit('a stranger’s code was run')")
    monkeypatch.chdir(tmp_path)
    assert installer.installed_python() is None
    monkeypatch.setattr(installer, "can_install", lambda: "")
    monkeypatch.setattr(installer, "find_python", lambda: (sys.executable,))
    assert bpy.ops.turboportrait.install_backend() == {"FINISHED"}
    environment = state / "environment"
    assert installer.installed_python() == str(installer.python_of(environment / "venv"))
    assert list(environment.glob("**/turboportrait_nothing.py"))
    assert "Making the environment" in capsys.readouterr().out
    assert str(environment) in link.message


def test_a_cancelled_installation_ends_its_process_and_counts_for_nothing(layout):
    work = installer.install(installer.folder(), (sys.executable,))
    link.spawn(work, cancellable=True, timeout=60)
    link.advance()
    assert bpy.ops.turboportrait.cancel.poll()
    bpy.ops.turboportrait.cancel()
    assert not link.can_cancel
    assert (link.message, link.failed) == ("Cancelled", False)
    assert installer.installed_python() is None


def test_a_failed_installation_says_the_logs_last_words(layout):
    (layout / "turboportrait3d_backend-0.0.1-py3-none-any.whl").write_bytes(b"no wheel")
    with pytest.raises(TurboPortraitError, match="failed"):
        tasks.complete(installer.install(installer.folder(), (sys.executable,)), 120)
    assert installer.installed_python() is None
    with pytest.raises(TurboPortraitError, match="nowhere"):
        tasks.complete(installer.install(installer.folder(), ("/nowhere/python",)), 120)


@pytest.mark.parametrize("name", ["thesis.doc", "pyvenv.cfg", installer.COMPLETE])
def test_a_folder_with_anything_of_others_in_it_stays_as_it_is(layout, tmp_path, name):
    place = tmp_path / "documents"
    place.mkdir()
    (place / name).write_text("mine")
    with pytest.raises(TurboPortraitError, match="other files"):
        tasks.complete(installer.install(place, (sys.executable,)), 120)
    assert [path.name for path in place.iterdir()] == [name]
    assert (place / name).read_text() == "mine"


def test_a_folder_of_ours_is_installed_into_again(layout, tmp_path):
    rest = tmp_path / "place" / "venv" / "rest"
    next(installer.install(tmp_path / "place", (sys.executable,)))
    rest.parent.mkdir(exist_ok=True)
    rest.touch()
    assert tasks.complete(installer.install(tmp_path / "place", (sys.executable,)), 120)
    assert not rest.exists()


def test_a_checkout_says_that_it_needs_no_installation(state):
    assert "checkout" in installer.can_install()
    assert not bpy.ops.turboportrait.install_backend.poll()


def test_progress_follows_what_pip_says_and_unpacks(layout, tmp_path):
    environment = tmp_path / "environment"
    installed = environment / ("Lib" if sys.platform == "win32" else "lib/python3.11") / "site-packages"
    installed.mkdir(parents=True)
    (layout / "constraints.txt").write_text("\n".join(f"p{number}==1" for number in range(10)))
    said = (
        "Processing ./turboportrait3d.whl\nCollecting numpy<2 (from x)\n  Downloading numpy-1.26.4-cp311.whl (3 MB)\n"
    )
    seen = [installer._progress(environment, ""), installer._progress(environment, said)]
    assert seen[1].line == "Downloading the backend: numpy"
    said += "Installing collected packages: numpy, scipy, torch, zipp\n"
    for name in ("pip", "numpy", "scipy", "torch", "zipp"):
        (installed / f"{name}-1.dist-info").mkdir()
        seen.append(installer._progress(environment, said))
    assert seen[3].line == "Unpacking the backend: 2 of 4 packages"
    fractions = [each.fraction for each in seen]
    assert fractions == sorted(fractions)
    assert fractions[0] == 0
    assert fractions[-1] == 1
