"""A stranger's .blend whose scripts would run: none does, whatever the user's preferences allow."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from backend.protocol.pose_file import PoseFile
from backend.protocol.shots import EvaluationRequest, Shot, encode

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
MAKE = """
import bpy
blend, ran = {blend!r}, {ran!r}
text = bpy.data.texts.new("startup.py")
text.write(f"open({{ran!r}}, 'a').write('text ')")
text.use_module = True
curve = bpy.context.scene.camera.driver_add("location", 0)
curve.driver.expression = f"[open({{ran!r}}, 'a').write('driver '), 1.0][1]"
bpy.ops.wm.save_as_mainfile(filepath=blend)
"""
ALLOW = "import bpy; bpy.context.preferences.filepaths.use_scripts_auto_execute = {allowed}"
OPEN = "bpy.ops.wm.open_mainfile(filepath={blend!r}); bpy.context.scene.frame_set(2)"
SHOTS = [Shot("one", 1, 2, "Camera")]


@pytest.fixture
def hostile(tmp_path, monkeypatch):
    """The .blend, and the file that its scripts would make."""
    pytest.importorskip("bpy")
    monkeypatch.setenv("BLENDER_USER_RESOURCES", str(tmp_path / "blender"))
    monkeypatch.setenv("TURBOPORTRAIT_STATE", str(tmp_path / "state"))
    blend, ran = tmp_path / "hostile.blend", tmp_path / "ran"
    in_bpy(MAKE.format(blend=str(blend), ran=str(ran)))
    assert not ran.exists()
    return blend, ran


def in_bpy(code: str) -> None:
    variables = os.environ | {"PYTHONPATH": str(ROOT)}
    run = subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


def test_a_preference_that_allows_scripts_does_not_count(hostile, tmp_path):
    blend, ran = hostile
    allow = ALLOW.format(allowed=True)
    in_bpy(f"{allow}\n{OPEN.format(blend=str(blend))}")
    assert set(ran.read_text().split()) == {"text", "driver"}, "they would run"
    ran.unlink(missing_ok=True)
    request = tmp_path / "request.json"
    request.write_bytes(encode(EvaluationRequest(str(blend), str(tmp_path / "poses.npz"), tuple(SHOTS))))
    in_bpy(f"{allow}\nimport blender_addon.shots.pose_export\nblender_addon.shots.pose_export.main({str(request)!r})")
    assert not ran.exists()
    (note,) = PoseFile.load(tmp_path / "poses.npz").header.notes
    assert "Scripts of the .blend are not run" in note
