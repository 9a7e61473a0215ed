"""A head follows a camera: a real capture of a video that plays as if it were one, a real backend, this Blender."""

import sys
import time
from pathlib import Path

import bpy
import numpy as np
import pytest
import skimage.data
from watching import PATIENCE_SECONDS, middle, settle, shown, turn_until

from backend.client import TurboPortraitError
from backend.client.isolation import python_module
from blender_addon.connection.link import link
from blender_addon.live.profiler import profiler
from blender_addon.performance import following
from blender_addon.performance.capture import FaceCapture
from blender_addon.scene.head import add_head, mesh_of
from blender_addon.scene.parameters import head_parameters
from blender_addon.ui import capture_operators

sys.path.insert(0, str(Path(__file__).parents[3] / "tracking" / "clips"))
from movies import RATE, leaning, write_movie

pytestmark = pytest.mark.usefixtures("own_backend")
LEAN, PERIOD = 15.0, 2.0
TIMES = 60
"""To and fro: longer than any test, however slow the machine, since a camera does not end either."""


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """Upright for a second, then leaning to and fro."""
    frames = round(PERIOD * RATE)
    swing = leaning(skimage.data.astronaut(), LEAN * np.sin(2 * np.pi * np.arange(frames) / frames))
    return write_movie(tmp_path_factory.mktemp("camera") / "face.mp4", swing[:1] * RATE + swing * TIMES)


@pytest.fixture
def camera(addon, video, monkeypatch):
    """What the panel's field says, and the command that captures."""
    monkeypatch.setattr(capture_operators, "base_command", lambda: list(python_module("backend.commands")))
    bpy.context.window_manager.turboportrait_capture.source = str(video)
    yield
    following.stop()
    for block in [*bpy.data.actions]:
        bpy.data.actions.remove(block)


@pytest.fixture
def head(scene, head_model, camera):
    scene.render.fps, scene.render.fps_base = RATE, 1.0
    scene.turboportrait_performance.start = 1
    head = add_head(bpy.context, head_model, "Ada")
    bpy.context.view_layer.objects.active = head
    return head


def follow_until(done) -> None:
    """Turn the timer as Blender's main loop would."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not done():
        assert time.monotonic() < deadline, f"waited in vain: {link.message}"
        following._tick()
        bpy.context.view_layer.update()
        time.sleep(0.002)


def roll(head) -> float:
    """Degrees that the head leans."""
    return -np.degrees(head_parameters(head, bpy.context.evaluated_depsgraph_get()).joint_rotations[1, 2])


def test_the_head_follows_and_a_recording_becomes_keys(head):
    before = head.pose.bones["neck"].matrix_basis.copy()
    assert bpy.ops.turboportrait.start_camera() == {"FINISHED"}
    assert following.current.seen is None
    assert not bpy.ops.turboportrait.keep_recording.poll()
    follow_until(lambda: abs(roll(head)) > LEAN / 2)
    assert following.current.seen
    bpy.ops.turboportrait.record()
    assert not bpy.ops.turboportrait.take_neutral.poll()
    turned = []
    while following.current.recorded_frames < 2 * PERIOD * RATE:
        follow_until(lambda known=following.current.recorded_frames: following.current.recorded_frames > known)
        turned.append(roll(head))
    assert bpy.ops.turboportrait.keep_recording() == {"FINISHED"}
    assert following.current is None
    action = head.animation_data.action
    assert action.name.startswith("face")
    # It stands as before, and plays what was seen.
    scene = bpy.context.scene
    played = []
    for frame in range(1, int(action.frame_range[1]) + 1):
        scene.frame_set(frame)
        played.append(roll(head))
    assert action.frame_range[1] > PERIOD * RATE
    assert max(played) > 0.8 * LEAN
    assert min(played) < -0.8 * LEAN
    assert max(played) == pytest.approx(max(turned), abs=1.5)
    assert mesh_of(head).data.shape_keys.animation_data.action is not None
    scene.frame_set(0)
    head.animation_data.action = None
    assert before.is_identity


def test_the_head_stands_as_before_when_the_camera_stops(head):
    head.pose.bones["neck"].rotation_euler = (0.1, 0.2, 0.3)
    key = mesh_of(head).data.shape_keys.key_blocks["jawOpen"]
    key.value = 0.25
    bpy.ops.turboportrait.start_camera()
    process = following.current._capture._process
    follow_until(lambda: following.current.seen)
    assert key.value != 0.25
    # What the face does at some moment may be neutral.
    follow_until(lambda: roll(head) > 0.8 * LEAN)
    bpy.ops.turboportrait.take_neutral()
    follow_until(lambda: roll(head) < -1.3 * LEAN)
    bpy.ops.turboportrait.stop_camera()
    assert tuple(head.pose.bones["neck"].rotation_euler) == pytest.approx((0.1, 0.2, 0.3), abs=1e-6)
    assert key.value == pytest.approx(0.25)
    assert not bpy.data.actions
    assert process.wait(10) is not None


def test_the_live_preview_follows(little_head, scene, camera):
    scene.render.resolution_x = scene.render.resolution_y = scene.turboportrait.live_size = 128
    scene.turboportrait_performance.travels = False
    scene.turboportrait.live = True
    try:
        bpy.context.view_layer.update()
        turn_until(lambda: shown(scene.camera) is not None, "the first picture")
        settle(scene)
        profiler.reset()
        bpy.ops.turboportrait.start_camera()

        def going() -> bool:
            following._tick()
            bpy.context.view_layer.update()
            return len(profiler.samples["camera"]) > 60 and len(profiler.samples["raw"]) > 30

        turn_until(going, "the head's motion")
        assert middle(shown(scene.camera)) == pytest.approx(0.5, abs=0.1)
        for kind in ("camera", "raw"):
            print(kind, "ms: median, p95, longest:", *(f"{x:.0f}" for x in profiler.milliseconds(kind)))
    finally:
        scene.turboportrait.live = False


def test_what_is_wrong_is_told(head, monkeypatch):
    bpy.context.window_manager.turboportrait_capture.source = "/dev/video9999"
    bpy.ops.turboportrait.start_camera()
    follow_until(lambda: following.current is None)
    assert "/dev/video9999" in link.message
    assert link.failed
    # Options are none.
    bpy.context.window_manager.turboportrait_capture.source = "--output=/tmp/stolen"
    bpy.ops.turboportrait.start_camera()
    follow_until(lambda: following.current is None)
    assert "--output" in link.message
    assert not Path("/tmp/stolen").exists()
    bpy.ops.turboportrait.find_cameras()


def test_a_head_that_goes_ends_it(head):
    bpy.ops.turboportrait.start_camera()
    follow_until(lambda: following.current.seen)
    bpy.data.objects.remove(head)
    follow_until(lambda: following.current is None)
    assert "Ada" in link.message


@pytest.mark.parametrize(
    "line",
    [b"{}", b"", b"[" * 70_000, b'{"time": NaN}', b"\xff\xfe", b'{"fps":[0,0]}', b'{"code":7}'],
    ids=["empty", "blank", "deep", "no number", "no text", "no rate", "no sentence"],
)
def test_lines_that_no_capture_writes_are_refused(addon, line, tmp_path):
    (tmp_path / "lines").write_bytes(line + b"\n")
    script = "import sys; sys.stdout.buffer.write(open(sys.argv[1], 'rb').read())"
    capture = FaceCapture([sys.executable, "-c", script, str(tmp_path / "lines")], "")
    try:
        capture._thread.join()
        with pytest.raises(TurboPortraitError) as error:
            capture.frames()
        assert error.value.code == "bad_performance"
    finally:
        capture.close()
