"""The backend that comes in the extension's zip: what is packed for whom, and unpacked wholly or not at all."""

import hashlib
import json
import os
import runpy
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "blender_addon" / "connection" / "unpack_runtime.py"
UNPACKING = runpy.run_path(str(SCRIPT))
HERE = UNPACKING["this_platform"]()


def packed(folder: Path, members: dict[str, str], **told) -> Path:
    """A folder as the builder packs it, with one wheel and our own, which says what it sees."""
    folder.mkdir()
    own = {
        "backend/__init__.py": "",
        "backend/commands/__init__.py": "",
        "backend/commands/app.py": "import sys, little\ndef main():\n    print(little.SAID, sys.argv[1:])\n",
    }
    wheels = {}
    for name, content in (("little-1-py3-none-any.whl", members), ("turboportrait3d-1-py3-none-any.whl", own)):
        with zipfile.ZipFile(folder / name, "w") as archive:
            for path, text in content.items():
                archive.writestr(path, text)
        wheels[name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    told = {"platform": HERE, "python": list(sys.version_info[:2]), "bytes": 100, "wheels": wheels, **told}
    (folder / "runtime.json").write_text(json.dumps(told))
    return folder


def unpack(source: Path, target: Path) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-I", "-S", SCRIPT, source, target], capture_output=True, text=True)


LITTLE = {
    "little.py": "SAID = 'here'",
    "little-1.data/purelib/more.py": "",
    "little-1.data/scripts/little": "#!python",
    "little-1.dist-info/METADATA": "Name: little",
}


@pytest.mark.parametrize("place", ["plain", "with spaces", "Übung 日本"])
def test_it_runs_by_the_same_python_apart_from_all_else(tmp_path, monkeypatch, place):
    target = tmp_path / place / "runtime" / "abc"
    done = unpack(packed(tmp_path / "packed", LITTLE), target)
    assert done.returncode == 0, done.stderr
    assert (target / "more.py").is_file()
    assert not list(target.rglob("scripts"))
    (tmp_path / "backend" / "commands").mkdir(parents=True)
    (tmp_path / "backend" / "commands" / "app.py").write_text("raise SystemExit('the wrong one')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    command = [sys.executable, "-I", "-S", target / "turboportrait_backend.py", "serve"]
    said = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path).stdout
    assert said.startswith("here ['serve']")


def test_tests_and_tools_that_are_not_used_stay_packed(tmp_path):
    unused = {"little/tests/test_it.py": "", "onnxruntime/tools/a_long_name.py": "", "onnxruntime/capi/core.py": ""}
    target = tmp_path / "runtime" / "abc"
    assert unpack(packed(tmp_path / "packed", LITTLE | unused), target).returncode == 0
    assert [path.name for path in target.rglob("onnxruntime/*")] == ["capi"]
    assert not list(target.rglob("tests"))


def test_a_second_time_changes_nothing_and_older_ones_go(tmp_path):
    source = packed(tmp_path / "packed", LITTLE)
    old, target = tmp_path / "runtime" / "old", tmp_path / "runtime" / "new"
    assert unpack(source, old).returncode == 0
    assert unpack(source, target).returncode == 0
    assert unpack(source, target).returncode == 0
    assert [path.name for path in target.parent.iterdir()] == ["new"]


def damage_wheel(source: Path) -> None:
    (source / "little-1-py3-none-any.whl").write_bytes(b"something else")


def remove_wheel(source: Path) -> None:
    (source / "turboportrait3d-1-py3-none-any.whl").unlink()


@pytest.mark.parametrize("harm", [damage_wheel, remove_wheel])
def test_a_wheel_that_is_not_what_was_packed_is_told_and_nothing_left(tmp_path, harm):
    source = packed(tmp_path / "packed", LITTLE)
    harm(source)
    done = unpack(source, tmp_path / "runtime" / "new")
    assert done.returncode == 1
    assert "install the extension again" in done.stderr
    assert list((tmp_path / "runtime").iterdir()) == []


@pytest.mark.parametrize(
    "name", ["../evil.py", "/evil.py", "a\\..\\evil.py", "C:evil.py", "x.data/purelib/../../evil.py"]
)
def test_names_that_lead_elsewhere_are_refused(tmp_path, name):
    done = unpack(packed(tmp_path / "packed", {"little.py": "", name: ""}), tmp_path / "runtime" / "new")
    assert done.returncode == 1
    assert list((tmp_path / "runtime").iterdir()) == []
    assert not list(tmp_path.rglob("evil.py"))


def test_what_does_not_fit_this_computer_is_told(tmp_path):
    other = unpack(packed(tmp_path / "other", LITTLE, python=[3, 99]), tmp_path / "new")
    assert "Python 3.99" in other.stderr
    foreign = unpack(packed(tmp_path / "foreign", LITTLE, platform="plan9-x64"), tmp_path / "new")
    assert f"for plan9-x64, this computer is {HERE}" in foreign.stderr
    large = unpack(packed(tmp_path / "large", LITTLE, bytes=1 << 60), tmp_path / "new")
    assert "make room" in large.stderr
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("system", "machine", "name"),
    [
        ("win32", "AMD64", "windows-x64"),
        ("darwin", "arm64", "macos-arm64"),
        ("darwin", "x86_64", "macos-x64"),
        ("linux", "x86_64", "linux-x64"),
        ("linux", "aarch64", "linux-arm64"),
    ],
)
def test_computers_are_called_as_blender_calls_them(system, machine, name):
    assert UNPACKING["this_platform"](system, machine) == name


def start(target: Path) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-I", "-S", target / "turboportrait_backend.py"], capture_output=True, text=True
    )


@pytest.mark.parametrize("name", ["little.py", "files.json", "turboportrait_backend.py"])
def test_what_a_virus_scanner_took_away_is_told_and_unpacked_again(tmp_path, name):
    source, target = packed(tmp_path / "packed", LITTLE), tmp_path / "runtime" / "new"
    assert unpack(source, target).returncode == 0
    (target / name).unlink()
    if name != "turboportrait_backend.py":
        ended = start(target)
        assert ended.returncode == 3
        assert name in ended.stderr
        assert "press Start" in ended.stderr
    assert not (target / "turboportrait_backend.py").exists(), "the next Start unpacks"
    assert unpack(source, target).returncode == 0
    assert start(target).stdout.startswith("here")
    assert [path.name for path in target.parent.iterdir()] == ["new"]


def test_a_folder_that_forbids_programs_is_told(tmp_path):
    """Such a disk lets no shared library be opened, which Python tells as an import that failed, numpy at length."""
    harmed = {"little.py": "raise ImportError('numpy is not well\\n\\nnot permitted\\n')"}
    source, target = packed(tmp_path / "packed", harmed), tmp_path / "new"
    assert unpack(source, target).returncode == 0
    ended = start(target)
    assert ended.returncode == 3
    assert ended.stderr.startswith("The backend cannot be loaded (not permitted): this computer may forbid")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends processes by force only")
def test_a_cancelled_unpacking_leaves_nothing(tmp_path):
    source = packed(tmp_path / "packed", LITTLE)
    told = json.loads((source / "runtime.json").read_text())
    (checksum, _) = told["wheels"].values()
    for number in range(3000):
        os.link(source / "little-1-py3-none-any.whl", source / f"little{number}-1-py3-none-any.whl")
        told["wheels"][f"little{number}-1-py3-none-any.whl"] = checksum
    (source / "runtime.json").write_text(json.dumps(told))
    command = [sys.executable, "-I", "-S", SCRIPT, source, tmp_path / "runtime" / "new"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline().startswith("unpacking 1 of")
        process.terminate()
        assert process.stderr.read().strip() == "Cancelled"
    assert list((tmp_path / "runtime").iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="the limit is POSIX's")
def test_a_disk_that_fills_meanwhile_leaves_nothing(tmp_path):
    import resource

    source = packed(tmp_path / "packed", {"little.py": "#" * 100_000})
    done = subprocess.run(
        [sys.executable, "-I", "-S", SCRIPT, source, tmp_path / "runtime" / "new"],
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000)),
    )
    assert done.returncode == 1
    assert done.stderr.strip().endswith("is full: make room and try again")
    assert list((tmp_path / "runtime").iterdir()) == []


def test_what_was_left_by_force_goes_with_the_next_unpacking(tmp_path):
    old, young = tmp_path / "runtime" / "a.1.part", tmp_path / "runtime" / "a.2.part"
    for folder in (old, young):
        (folder / "numpy").mkdir(parents=True)
    os.utime(old, (0, 0))
    assert unpack(packed(tmp_path / "packed", LITTLE), tmp_path / "runtime" / "new").returncode == 0
    assert sorted(path.name for path in young.parent.iterdir()) == ["a.2.part", "new"]
