"""The backend that comes in the extension's zip: what is packed for whom, and unpacked wholly or not at all."""

import hashlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "blender_addon" / "connection" / "unpack_runtime.py"


def packed(folder: Path, members: dict[str, str], python=sys.version_info[:2], size: int = 100) -> Path:
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
    (folder / "runtime.json").write_text(json.dumps({"python": list(python), "bytes": size, "wheels": wheels}))
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


def test_another_python_and_a_full_disk_are_told_with_numbers(tmp_path):
    other = unpack(packed(tmp_path / "other", LITTLE, python=(3, 99)), tmp_path / "new")
    assert "Python 3.99" in other.stderr
    large = unpack(packed(tmp_path / "large", LITTLE, size=1 << 60), tmp_path / "new")
    assert "make room" in large.stderr
    assert not (tmp_path / "new").exists()
