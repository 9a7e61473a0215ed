"""The extension as it is packed: Blender's own tool accepts the manifest and builds the zip."""

import importlib.util
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def tool() -> Path:
    """The program behind `blender --command extension`, which runs in any Python."""
    found = importlib.util.find_spec("bpy")
    tools = list(Path(found.origin).parent.glob("*/scripts/addons_core/bl_pkg/cli/blender_ext.py")) if found else []
    if not tools:
        pytest.skip("bpy is not installed: pip install bpy")
    return tools[0]


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    """The add-on's files beside the manifest, as in the zip."""
    shutil.copytree(ROOT / "blender_addon", tmp_path / "extension", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "blender_manifest.toml", tmp_path / "extension")
    return tmp_path / "extension"


def run(tool: Path, *arguments) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, tool, *map(str, arguments)], capture_output=True, text=True)


def test_blender_accepts_the_manifest(tool, layout):
    result = run(tool, "validate", layout)
    assert result.returncode == 0, result.stdout + result.stderr


def test_blender_packs_the_extension(tool, layout, tmp_path):
    result = run(tool, "build", "--source-dir", layout, "--output-dir", tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    (archive,) = tmp_path.glob("*.zip")
    names = zipfile.ZipFile(archive).namelist()
    assert "__init__.py" in names
    assert "blender_manifest.toml" in names
    assert not any("__pycache__" in name for name in names)


def test_versions_agree():
    manifest = tomllib.loads((ROOT / "blender_manifest.toml").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert manifest["version"] == project["version"]
    assert manifest["license"] == [f"SPDX:{project['license']}"]
