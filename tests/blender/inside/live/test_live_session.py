"""The live preview with a real backend process, its timer turned by hand: what is shown, and what goes wrong."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import bpy
import numpy as np
import pytest
from mathutils import Matrix
from watching import PATIENCE_SECONDS, idle, middle, settle, shown, stop_backend, turn_until

from backend.protocol.messages import ViewPixels
from backend.protocol.pictures import straight_bytes
from blender_addon.connection import link as link_module
from blender_addon.connection import preferences, requests
from blender_addon.connection.connect import own_process
from blender_addon.connection.error_text import message_of
from blender_addon.connection.link import link
from blender_addon.live import session
from blender_addon.live.card import add_card, card_of
from blender_addon.scene import compositing
from blender_addon.scene.camera_image import image_name

OTHER_BLENDER = Path(__file__).parents[1] / "other_blender.py"


pytestmark = pytest.mark.usefixtures("own_backend")


@pytest.fixture
def chosen(addon, little_command, monkeypatch):
    """A user whose backend makes little heads and is started when needed."""
    monkeypatch.setattr(preferences, "backend_command", lambda python: tuple(little_command))
    yield
    for scene in bpy.data.scenes:
        scene.turboportrait.live = False
    link._restarts.clear()


def register(little_photo, tmp_path, name, **options):
    path = tmp_path / f"{name}.png"
    path.write_bytes(little_photo)
    bpy.ops.turboportrait.register_portrait(filepath=str(path), maker="little", **options)
    return bpy.context.object


@pytest.fixture
def head(scene, chosen, little_photo, tmp_path):
    """A live scene with a little head before the camera."""
    head = register(little_photo, tmp_path, "Ada")
    scene.camera.matrix_world = Matrix.Translation((0, -1, 0)) @ Matrix.Rotation(np.pi / 2, 4, "X")
    scene.render.resolution_x = scene.render.resolution_y = 128
    scene.turboportrait.live_size = 128
    scene.turboportrait.live = True
    bpy.context.view_layer.update()
    turn_until(lambda: shown(scene.camera) is not None and idle(scene), "the first picture")
    return head


def test_the_image_follows_the_head_and_the_camera(scene, head):
    assert middle(shown(scene.camera)) == pytest.approx(0.5, abs=0.02)
    head.location.x = 0.1
    settle(scene)
    right = middle(shown(scene.camera))
    assert right > 0.6
    scene.camera.location.x = 0.2
    settle(scene)
    assert middle(shown(scene.camera)) == pytest.approx(1 - right, abs=0.02)


def test_every_frame_of_a_scrub_ends_in_the_frame_that_is_shown(scene, head):
    head.location.x = -0.1
    head.keyframe_insert("location", frame=1)
    head.location.x = 0.1
    head.keyframe_insert("location", frame=50)
    for number in (*range(1, 51), *range(50, 0, -7)):
        scene.frame_set(number)
        link.advance()
        session.tick()
    settle(scene)
    assert head.location.x < 0.1
    expected = 0.5 + head.location.x / (36 / 50)
    assert middle(shown(scene.camera)) == pytest.approx(expected, abs=0.02)
    assert link.current.pending <= 1


def test_marked_cameras_are_live_too_together_or_each_for_itself(scene, head):
    other = bpy.data.objects.new("Other", scene.camera.data)
    scene.collection.objects.link(other)
    other.matrix_world = Matrix.Translation((0.1, 0, 0)) @ scene.camera.matrix_world
    other.turboportrait.live = True
    settle(scene)
    assert len(list(session.session_of(scene).streams)) == 1
    assert middle(shown(other)) < 0.45 < middle(shown(scene.camera))
    scene.turboportrait.joint = False
    scene.update_tag()
    head.location.x = 0.05
    settle(scene)
    assert len(list(session.session_of(scene).streams)) == 2
    assert middle(shown(other)) < middle(shown(scene.camera))
    scene.turboportrait.joint = True


def test_two_heads_are_put_together_by_depth(scene, head, little_photos, tmp_path):
    other = register(little_photos((20, 40, 220)), tmp_path, "Grace", new_head=True)
    assert other.turboportrait.avatar_id != head.turboportrait.avatar_id
    other.location.y = -0.3
    settle(scene)
    assert shown(scene.camera)[64, 64, 2] > 0.5
    other.location.y = 0.3
    settle(scene)
    assert shown(scene.camera)[64, 64, 0] > 0.5


def test_flattening_is_compositing(head, scene):
    rng = np.random.default_rng(3)
    layers = []
    for _ in range(3):
        rgba = rng.integers(0, 256, (16, 16, 4), np.uint8)
        rgba[..., 3] = rng.choice([0, 255], (16, 16))
        depth = np.where(rgba[..., 3] > 0, rng.uniform(0.5, 2, (16, 16)), np.inf).astype(np.float32)
        layers.append(ViewPixels("x", rgba, depth))
    scales = (1.0, 2.0, 0.5)
    color, _ = compositing.composite(layers, scales, 16, 16)
    flat = compositing.flatten(layers, scales)
    visible = flat[..., 3] > 0
    np.testing.assert_array_equal(flat[..., 3], straight_bytes(color)[..., 3])
    np.testing.assert_allclose(flat[visible].astype(int), straight_bytes(color)[visible].astype(int), atol=1)


def test_a_card_fills_the_cameras_frame_at_the_heads_distance(scene, head):
    card = add_card(bpy.context, scene.camera)
    assert add_card(bpy.context, scene.camera) == card
    assert card_of(scene.camera) == card
    bpy.context.view_layer.update()
    corners = [card.matrix_world @ vertex.co for vertex in card.data.vertices]
    from bpy_extras.object_utils import world_to_camera_view

    seen = np.array([world_to_camera_view(scene, scene.camera, corner) for corner in corners])
    np.testing.assert_allclose(seen[:, :2], [(1, 1), (1, 0), (0, 0), (0, 1)], atol=1e-4)
    assert seen[:, 2].std() < 1e-5
    assert 0.7 < seen[0, 2] < 0.9, "before the head, one metre away"
    uv = [tuple(loop.vector) for loop in card.data.uv_layers[0].uv]
    np.testing.assert_allclose(uv, seen[:, :2], atol=1e-4)
    scene.camera.data.lens = 80
    settle(scene)
    bpy.context.view_layer.update()
    wider = np.array([world_to_camera_view(scene, scene.camera, card.matrix_world @ v.co) for v in card.data.vertices])
    np.testing.assert_allclose(wider[:, :2], seen[:, :2], atol=1e-4)
    scene.camera.data.lens = 50


# What goes wrong


def test_a_backend_that_is_killed_comes_back_and_knows_the_portrait_again(scene, head):
    before = own_process().process
    os.kill(before.pid, signal.SIGKILL)
    before.wait()
    turn_until(lambda: not link.ready, "the loss")
    head.location.x = 0.1
    bpy.context.view_layer.update()
    turn_until(lambda: link.ready and idle(scene) and middle(shown(scene.camera)) > 0.6, "the return")
    assert own_process().process.pid != before.pid
    assert link.current.pending <= 1


def test_a_backend_that_dies_all_the_time_is_left_alone(scene, head):
    link._restarts[:] = [time.monotonic()] * link_module.MOST_RESTARTS
    scene.turboportrait.live = False
    process = own_process().process
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    turn_until(lambda: link.failed, "the loss")
    assert not link.busy
    assert "log" in link.message


def test_what_is_deleted_is_said_and_work_goes_on_when_it_is_back(scene, head):
    camera = scene.camera
    bpy.data.images.remove(bpy.data.images[image_name(camera)])
    head.location.x = 0.1
    settle(scene)
    assert middle(shown(camera)) > 0.6
    head.turboportrait.avatar_id, kept = "", head.turboportrait.avatar_id
    head.location.x = 0.2
    settle(scene)
    assert "No visible head" in session.session_of(scene).problem
    head.turboportrait.avatar_id = kept
    head.location.x = 0.0
    settle(scene)
    assert session.session_of(scene).problem == ""
    scene.camera = None
    bpy.data.objects.remove(camera)
    head.location.x = 0.1
    scene.update_tag()
    bpy.context.view_layer.update()
    turn_until(lambda: "no camera" in session.session_of(scene).problem, "the camera's loss")


def test_a_camera_that_no_pinhole_expresses_is_said(scene, head):
    scene.camera.data.type = "ORTHO"
    settle(scene)
    assert "Perspective" in session.session_of(scene).problem
    scene.camera.data.type = "PERSP"
    settle(scene)
    assert session.session_of(scene).problem == ""


def test_a_saved_file_goes_on_with_its_preview(scene, head, tmp_path):
    path = str(tmp_path / "live.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    bpy.ops.wm.read_homefile(use_empty=True, load_ui=False)
    assert session.tick() is None
    # The portrait's file is gone, and so is the backend that knew it.
    (tmp_path / "Ada.png").unlink()
    stop_backend()
    bpy.ops.wm.open_mainfile(filepath=path, load_ui=False)
    again = bpy.context.scene
    assert again.turboportrait.live
    thing = next(thing for thing in again.objects if thing.turboportrait.is_head)
    thing.location.x = 0.1
    bpy.context.view_layer.update()
    turn_until(lambda: link.ready and idle(again) and middle(shown(again.camera)) > 0.6, "the file's picture")


def test_the_add_on_can_go_and_come_in_mid_preview(scene, head):
    head.location.x = 0.1
    bpy.context.view_layer.update()
    session.tick()
    bpy.ops.preferences.addon_disable(module="blender_addon")
    assert not bpy.app.timers.is_registered(session.tick)
    bpy.context.view_layer.update()
    bpy.ops.preferences.addon_enable(module="blender_addon")
    assert bpy.context.scene.turboportrait.live
    assert bpy.app.timers.is_registered(session._loaded)
    session._loaded()
    settle(scene)
    assert middle(shown(scene.camera)) > 0.6
    head.location.x = -0.1
    settle(scene)
    assert middle(shown(scene.camera)) < 0.4, "the preview goes on as it was left"


def test_a_portrait_whose_file_moved_is_registered_from_the_blend(scene, head, tmp_path):
    (tmp_path / "Ada.png").rename(tmp_path / "elsewhere.png")
    stop_backend()
    head.location.x = 0.1
    settle(scene)
    assert middle(shown(scene.camera)) > 0.6
    # Only where the .blend has lost it too must the user help, and is told how.
    head.turboportrait.portrait.unpack(method="REMOVE")
    stop_backend()
    requests._current_ids.clear()
    head.location.x = 0.0
    settle(scene)
    (stream,) = session.session_of(scene).streams
    assert stream.problem.code == "unknown_avatar"
    assert "portrait" in message_of(stream.problem)
    bpy.ops.object.select_all(action="DESELECT")
    bpy.context.view_layer.objects.active = head
    bpy.ops.turboportrait.register_portrait(filepath=str(tmp_path / "elsewhere.png"), maker="little")
    settle(scene)
    assert stream.problem is None
    assert middle(shown(scene.camera)) == pytest.approx(0.5, abs=0.02)


def library_of(head, path) -> str:
    """A file with the head in a collection of its own; the file that is open forgets it."""
    collection = bpy.data.collections.new("Character")
    for thing in (head, *head.children):
        collection.objects.link(thing)
    bpy.data.libraries.write(str(path), {collection})
    for thing in (*head.children, head):
        bpy.data.objects.remove(thing)
    bpy.data.collections.remove(collection)
    return str(path)


def test_a_linked_head_is_shown_and_its_override_can_be_posed(scene, head, tmp_path):
    library = library_of(head, tmp_path / "character.blend")
    stop_backend()
    with bpy.data.libraries.load(library, link=True) as (source, target):
        target.collections = source.collections
    (linked,) = target.collections
    scene.collection.children.link(linked)
    settle(scene)
    assert middle(shown(scene.camera)) == pytest.approx(0.5, abs=0.02)
    scene.collection.children.unlink(linked)

    override = linked.override_hierarchy_create(scene, bpy.context.view_layer, do_fully_editable=True)
    posed = next(thing for thing in override.all_objects if thing.turboportrait.is_head)
    assert posed.override_library is not None
    posed.location.x = 0.1
    settle(scene)
    assert middle(shown(scene.camera)) > 0.6
    posed.pose.bones["global"].location.x = -0.2
    settle(scene)
    assert middle(shown(scene.camera)) < 0.45
    bpy.context.view_layer.objects.active = posed
    with pytest.raises(RuntimeError, match="linked from another file"):
        bpy.ops.turboportrait.register_portrait(filepath=str(tmp_path / "Ada.png"), maker="little")


def test_two_blenders_share_a_backend_and_the_one_that_stays_goes_on(scene, head, tmp_path, little_command):
    scene.turboportrait.live = False
    stop_backend()
    other = subprocess.Popen(
        [sys.executable, str(OTHER_BLENDER), str(tmp_path / "Ada.png"), *little_command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"BLENDER_USER_RESOURCES": str(tmp_path / "other")},
        text=True,
    )

    def told(line: str = "") -> float:
        if line:
            print(line, file=other.stdin, flush=True)
        return next(float(said.split()[1]) for said in other.stdout if said.startswith("middle "))

    try:
        assert told() == pytest.approx(0.5, abs=0.02)
        scene.turboportrait.live = True
        head.location.x = 0.1
        settle(scene)
        assert not link.owns_process, "it is the other Blender's backend"
        # Both at once: each sees its own head.
        for step in range(1, 20):
            print(-0.1 * step / 20, file=other.stdin, flush=True)
            head.location.x = 0.1 * step / 20
            bpy.context.view_layer.update()
            link.advance()
            session.tick()
        seen = [told() for _ in range(19)]
        settle(scene)
        assert seen[-1] == pytest.approx(0.5 - 0.095 / 0.72, abs=0.02)
        assert middle(shown(scene.camera)) == pytest.approx(0.5 + 0.095 / 0.72, abs=0.02)
        # The other quits, and its backend with it.
        other.stdin.close()
        other.wait(PATIENCE_SECONDS)
        turn_until(lambda: not link.ready, "the loss")
        head.location.x = -0.1
        bpy.context.view_layer.update()
        turn_until(lambda: link.ready and idle(scene) and middle(shown(scene.camera)) < 0.4, "the return")
        assert link.owns_process
    finally:
        other.kill()
        other.wait()


def test_a_backend_that_takes_for_ever_blocks_nothing(scene, head, little_command, monkeypatch):
    stop_backend()
    monkeypatch.setattr(preferences, "backend_command", lambda python: (*little_command, "--block-rendering"))
    turn_until(lambda: link.ready, "the slow backend")
    for step in range(50):
        head.location.x = step / 1000
        bpy.context.view_layer.update()
        link.advance()
        session.tick()
    assert link.current.pending <= 3
    assert middle(shown(scene.camera)) == pytest.approx(0.5, abs=0.02), "the last picture stays"
    own_process().process.kill()
