"""A .blend whose scripts would run, in a Blender of the user's own that allows them."""

import shlex
import subprocess
import tempfile

import pytest

from backend.batch.evaluate import evaluate
from backend.protocol.shots import Shot

SHARED = tempfile.gettempdir()
pytestmark = pytest.mark.slow
MAKE = """
import bpy
text = bpy.data.texts.new("startup.py")
text.write("open({ran!r}, 'w')")
text.use_module = True
bpy.ops.wm.save_as_mainfile(filepath={blend!r})
"""
ALLOW = """
import bpy
bpy.context.preferences.filepaths.use_scripts_auto_execute = {allowed}
bpy.ops.wm.save_userpref()
"""


def test_a_batch_runs_no_scripts_of_a_file(blender, installed, tmp_path, monkeypatch):
    # A Blender in a sandbox is shown the folder that it is started in, and this one anyway.
    monkeypatch.setenv("TURBOPORTRAIT_STATE", SHARED)
    blend, ran = tmp_path / "hostile.blend", tmp_path / "ran"

    def run(*arguments):
        command = [*blender, "--background", *map(str, arguments)]
        subprocess.run(command, cwd=SHARED, check=True, capture_output=True, timeout=120)

    run("--python-expr", MAKE.format(blend=str(blend), ran=str(ran)))
    run("--python-expr", ALLOW.format(allowed=True))
    try:
        run(blend)
        assert ran.exists(), "it would run"
        ran.unlink()
        run("--disable-autoexec", blend)
        assert not ran.exists()
        seen = evaluate(blend, [Shot("one", 1, 2, "Camera")], tmp_path / "poses.npz", shlex.join(blender))
    finally:
        run("--python-expr", ALLOW.format(allowed=False))
    assert seen["cameras"] == ["Camera"]
    assert not ran.exists()
