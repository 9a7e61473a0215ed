"""Runs each file of tests/blender/inside within each Blender at hand: bpy 5.0, and 4.2 and 4.5 where .bpy/ has them."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
MODULES = sorted(path.relative_to(HERE / "inside").as_posix() for path in (HERE / "inside").rglob("test_*.py"))


def blender_path(version: str) -> list[str]:
    """The folders to put before Python's path so that `import bpy` is that version."""
    if version == "5.0":
        if importlib.util.find_spec("bpy") is None:
            pytest.skip("bpy is not installed: pip install bpy")
        return []
    folders = [folder for folder in ROOT.glob(f".bpy/{version}*") if (folder / "bpy").is_dir()]
    if not folders:
        pytest.skip(f"Blender {version} is not in .bpy/: make test installs it")
    return [str(folders[0])]


@pytest.mark.slow
@pytest.mark.parametrize("version", ["4.2", "4.5", "5.0"])
@pytest.mark.parametrize("module", MODULES)
def test_in_blender(version: str, module: str, tmp_path: Path):
    path = [*blender_path(version), str(ROOT)]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(path),
        "EXPECTED_BLENDER": version,
        # The user's own Blender settings must neither help nor suffer.
        "BLENDER_USER_RESOURCES": str(tmp_path / "blender"),
        "XDG_RUNTIME_DIR": str(tmp_path),
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "OMP_NUM_THREADS": "2",
    }
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--color=no", f"--rootdir={ROOT}"]
    run = subprocess.run(
        [*command, str(HERE / "inside" / module), "--override-ini=addopts=-q"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-3000:]
