"""The render engine against a real backend process: its pictures, and what happens when something is wrong."""

import os
import signal
import threading

import bpy
import numpy as np
import OpenEXR
import pytest
import skimage.data
import skimage.io

from backend.client import Client, find_backend
from backend.protocol.messages import View
from backend.protocol.pictures import NO_DEPTH
from blender_addon.connection.link import link
from blender_addon.scene import compositing
from blender_addon.scene.camera import blender_to_head, render_window, view_of_head
from blender_addon.scene.head import mesh_of
from blender_addon.scene.parameters import head_parameters
from blender_addon.scene.portrait import portrait_bytes
from blender_addon.scene.texture import image_key


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    path = tmp_path_factory.mktemp("portrait") / "astronaut.png"
    skimage.io.imsave(path, skimage.data.astronaut(), check_contrast=False)
    return path


pytestmark = pytest.mark.usefixtures("own_backend")


@pytest.fixture
def preferences(addon):
    chosen = bpy.context.preferences.addons["blender_addon"].preferences
    yield chosen
    chosen.start_automatically = True
    chosen.timeout = 120.0


@pytest.fixture
def head(scene, photo):
    """The astronaut in a small raw render."""
    bpy.data.objects.remove(scene.camera)
    scene.render.engine = "TURBOPORTRAIT3D"
    scene.render.resolution_x = scene.render.resolution_y = 128
    scene.render.film_transparent = True
    scene.turboportrait.output = "RAW"
    bpy.context.view_layer.use_pass_z = True
    assert bpy.ops.turboportrait.register_portrait(filepath=str(photo), new_head=True) == {"FINISHED"}
    return bpy.context.object


def render(tmp_path, name="frame") -> tuple[np.ndarray, np.ndarray]:
    """Render as F12 does and read it back from an EXR: colour (H, W, 4), linear, premultiplied; depth (H, W)."""
    scene = bpy.context.scene
    settings = scene.render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "MULTI_LAYER_IMAGE"
    settings.file_format = "OPEN_EXR_MULTILAYER"
    settings.color_depth = "32"
    scene.render.filepath = str(tmp_path / name)
    bpy.ops.render.render(write_still=True)
    return read_exr(str(tmp_path / f"{name}.exr"))


def read_exr(path: str) -> tuple[np.ndarray, np.ndarray]:
    # Blender shows no script the pixels of a render result or of a multilayer image.
    parts = OpenEXR.File(path, separate_channels=True).parts
    channels = {name: channel.pixels for part in parts for name, channel in part.channels.items()}

    def channel(*suffixes):
        return next(pixels for name, pixels in channels.items() if name.endswith(suffixes))

    return np.stack([channel(f"Combined.{c}") for c in "RGBA"], -1), channel("Depth.Z", "Depth.V")


def expected(head) -> tuple[np.ndarray, np.ndarray]:
    """What the backend itself gives for the camera and the parameters of the scene."""
    depsgraph = bpy.context.evaluated_depsgraph_get()
    scene = bpy.context.scene
    view = view_of_head(scene.camera, head.matrix_world, scene.render, depsgraph)
    with Client(find_backend()) as client:
        pixels = client.render(
            head.turboportrait.avatar_id,
            head_parameters(head, depsgraph),
            [View("test", view.camera)],
            timeout=60,
            refined=False,
            depth=True,
        ).raw["test"]
    _, _, width, height = render_window(scene.render)
    return compositing.composite([pixels], [view.scale], width, height)


def test_f12_is_the_backends_picture(head, tmp_path):
    head.scale = (2, 2, 2)
    bpy.context.view_layer.update()
    color, depth = render(tmp_path)
    wanted_color, wanted_depth = expected(head)
    np.testing.assert_allclose(color, wanted_color, atol=1e-5)
    np.testing.assert_allclose(depth, wanted_depth, rtol=1e-5)
    assert 0.1 < (color[..., 3] > 0.5).mean() < 0.9
    assert depth[color[..., 3] == 0].min() == pytest.approx(NO_DEPTH)


def test_the_same_frame_twice_is_the_same(head, tmp_path):
    first, _ = render(tmp_path, "first")
    second, _ = render(tmp_path, "second")
    np.testing.assert_array_equal(first, second)


def test_depth_is_the_distance_that_blender_measures(head, tmp_path):
    """The middle of the frame lies where a ray through the preview mesh meets it."""
    _, depth = render(tmp_path)
    camera = bpy.context.scene.camera
    depsgraph = bpy.context.evaluated_depsgraph_get()
    origin = camera.matrix_world.translation
    corners = [camera.matrix_world @ corner for corner in camera.data.view_frame(scene=bpy.context.scene)]
    middle = sum(corners[1:], corners[0].copy()) / 4
    hit, place, *_ = bpy.context.scene.ray_cast(depsgraph, origin, (middle - origin).normalized())
    assert hit
    seen = depth[depth.shape[0] // 2 - 1 : depth.shape[0] // 2 + 1, depth.shape[1] // 2 - 1 : depth.shape[1] // 2 + 1]
    assert -(camera.matrix_world.inverted() @ place).z == pytest.approx(float(seen.mean()), abs=2e-3)


def test_a_border_renders_its_part_of_the_frame(head, tmp_path):
    whole, _ = render(tmp_path, "whole")
    settings = bpy.context.scene.render
    settings.use_border = settings.use_crop_to_border = True
    settings.border_min_x, settings.border_max_x, settings.border_min_y, settings.border_max_y = 0.3, 0.8, 0.2, 0.9
    part, _ = render(tmp_path, "part")
    x0, y0, width, height = render_window(settings)
    assert part.shape[:2] == (height, width)
    window = whole[y0 : y0 + height, x0 : x0 + width]
    # A pixel on an outline may fall to the other side by the last bit; nowhere may the picture be shifted.
    assert np.mean(np.abs(part - window).max(-1) > 0.01) < 0.005
    settings.use_crop_to_border = False
    framed, _ = render(tmp_path, "framed")
    assert framed.shape == whole.shape
    np.testing.assert_allclose(framed[y0 : y0 + height, x0 : x0 + width], part, atol=1e-6)


def test_an_opaque_film_shows_the_world(head, tmp_path):
    scene = bpy.context.scene
    scene.render.film_transparent = False
    scene.world = scene.world or bpy.data.worlds.new("World")
    clear = compositing.world_color(scene)
    color, depth = render(tmp_path)
    np.testing.assert_allclose(color[..., 3], 1, atol=1e-6)
    empty = depth > 1e9
    assert empty.any()
    np.testing.assert_allclose(color[empty & (color[..., 3] == 1)][0], clear, atol=1e-5)


def test_the_nearer_of_two_heads_covers_the_other(head, photo, tmp_path):
    alone, _ = render(tmp_path, "alone")
    bpy.ops.turboportrait.register_portrait(filepath=str(photo), new_head=True)
    other = bpy.context.object
    assert other is not head
    assert other.turboportrait.portrait is head.turboportrait.portrait
    # Behind the first along the camera's own axis.
    away = bpy.context.scene.camera.matrix_world.to_3x3().col[2].normalized()
    other.location = head.location - away * 0.5
    bpy.context.view_layer.update()
    both, _ = render(tmp_path, "both")
    covered = alone[..., 3] == 1
    np.testing.assert_allclose(both[covered], alone[covered], atol=1e-5)
    head.location, other.location = other.location.copy(), head.location.copy()
    bpy.context.view_layer.update()
    swapped, _ = render(tmp_path, "swapped")
    np.testing.assert_allclose(swapped[covered], alone[covered], atol=1e-4)


def test_the_image_of_a_view_is_updated_in_place(head):
    camera = bpy.context.scene.camera
    assert bpy.ops.turboportrait.render_view() == {"FINISHED"}
    image = bpy.data.images[f"TP3D {camera.name}"]
    before = np.array(image.pixels[:])
    head.pose.bones["neck"].rotation_euler = (0, 0.5, 0)
    bpy.context.scene.render.resolution_x = 160
    assert bpy.ops.turboportrait.render_view() == {"FINISHED"}
    assert bpy.data.images[f"TP3D {camera.name}"] == image
    assert tuple(image.size) == (160, 128)
    assert len(before) == 128 * 128 * 4
    color, depth = expected(head)
    pixels = np.array(image.pixels[:]).reshape(128, 160, 4)[::-1]
    np.testing.assert_allclose(pixels[..., 3], color[..., 3], atol=1e-6)
    assert len([image for image in bpy.data.images if image.name.startswith("TP3D")]) == 1
    assert np.isfinite(depth).all()


def test_a_selected_head_takes_the_portrait_and_keeps_its_place_and_expression(scene, photo):
    bpy.ops.turboportrait.add_head()
    head = bpy.context.object
    head.location = (1, 2, 3)
    mesh_of(head).data.shape_keys.key_blocks["jawOpen"].value = 0.5
    bpy.ops.turboportrait.register_portrait(filepath=str(photo))
    assert [thing for thing in scene.objects if thing.turboportrait.is_head] == [head]
    assert tuple(head.location) == (1, 2, 3)
    assert mesh_of(head).data.shape_keys.key_blocks["jawOpen"].value == 0.5
    assert head.turboportrait.avatar_id
    properties = head.turboportrait
    assert portrait_bytes(image_key(properties.portrait), properties.portrait_sha256) == photo.read_bytes()
    assert scene.view_settings.view_transform == "Standard"


def test_the_portraits_camera_sees_the_head_as_the_photo_did(head):
    """The eyes of the preview mesh lie level and well inside the upper half of the portrait's frame."""
    depsgraph = bpy.context.evaluated_depsgraph_get()
    scene = bpy.context.scene
    view = view_of_head(scene.camera, head.matrix_world, scene.render, depsgraph)
    eyes = [blender_to_head(np.array(head.data.bones[name].head_local)) for name in ("eye_left", "eye_right")]
    left, right = view.camera.project(np.array(eyes))
    assert 0.4 * 128 < right[0] + (left[0] - right[0]) / 2 < 0.6 * 128
    assert left[0] - right[0] > 0.1 * 128
    assert abs(left[1] - right[1]) < 0.05 * 128
    assert 0.2 * 128 < left[1] < 0.6 * 128


def test_a_head_that_faces_away_gives_a_picture_and_no_error(head, tmp_path):
    head.rotation_euler = (0, 0, np.pi)
    bpy.context.view_layer.update()
    color, _ = render(tmp_path)
    assert np.isfinite(color).all()


def test_the_timer_drives_the_session_to_its_end(head):
    """What a window's timer does, turn by turn: no turn waits, and the result arrives."""
    from blender_addon.render.view import render_view, request_view

    results = []
    link.spawn(render_view(*request_view(bpy.context)), results.append)
    for _ in range(20000):
        if results or link.failed:
            break
        link.advance()
        threading.Event().wait(0.001)
    assert results, link.message
    assert results[0].shape == (128, 128, 4)


def kill_in_mid_render() -> threading.Thread:
    """A thread that kills the backend as soon as it computes."""

    def watch():
        endpoint = find_backend()
        with Client(endpoint) as client:
            while not client.status().running:
                pass
        os.kill(endpoint.pid, signal.SIGKILL)

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


def test_a_backend_killed_in_mid_render_is_an_error_and_the_next_render_starts_another(head, photo, tmp_path):
    scene = bpy.context.scene
    scene.render.resolution_x = scene.render.resolution_y = 6000
    assassin = kill_in_mid_render()
    with pytest.raises(RuntimeError, match="The backend stopped while it was working"):
        bpy.ops.render.render()
    assassin.join()
    # The portrait's file may be gone by then: the .blend has its bytes.
    scene.render.resolution_x = scene.render.resolution_y = 128
    head.turboportrait.portrait.filepath = "/nowhere/astronaut.png"
    color, _ = render(tmp_path)
    assert (color[..., 3] > 0.5).mean() > 0.1


def test_a_frozen_backend_ends_in_a_timeout(head, preferences):
    scene = bpy.context.scene
    scene.render.resolution_x = scene.render.resolution_y = 6000
    preferences.timeout = 1.0
    from blender_addon.render import engine

    grace, engine.START_SECONDS = engine.START_SECONDS, 1.0
    pid = find_backend().pid
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(RuntimeError, match="did not finish in the time allowed"):
            bpy.ops.render.render()
    finally:
        os.kill(pid, signal.SIGCONT)
        engine.START_SECONDS = grace


def test_no_backend_and_none_allowed_is_said(head, preferences):
    bpy.ops.turboportrait.stop_backend()
    assert find_backend() is None
    preferences.start_automatically = False
    with pytest.raises(RuntimeError, match="The backend cannot be reached"):
        bpy.ops.render.render()
    preferences.start_automatically = True


@pytest.mark.parametrize("kind", ["ORTHO", "PANO"])
def test_a_lens_that_is_no_pinhole_is_said(head, kind):
    bpy.context.scene.camera.data.type = kind
    with pytest.raises(RuntimeError, match="lens type is Perspective"):
        bpy.ops.render.render()


def test_a_stretched_head_is_said(head):
    head.scale = (1, 1, 2)
    bpy.context.view_layer.update()
    with pytest.raises(RuntimeError, match="stretched"):
        bpy.ops.render.render()


def test_an_absurd_pose_is_said(head):
    head.pose.bones["global"].location = (0, 5000, 0)
    bpy.context.view_layer.update()
    with pytest.raises(RuntimeError, match="pose, expression or translation"):
        bpy.ops.render.render()


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "cannot be read"), (b"no image at all", "not an image"), (b"", "not an image")],
)
def test_a_bad_portrait_is_said(scene, tmp_path, content, said):
    path = tmp_path / "bad.jpg"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RuntimeError, match=said):
        bpy.ops.turboportrait.register_portrait(filepath=str(path))


def test_a_scene_without_heads_is_empty(scene, tmp_path):
    scene.render.engine = "TURBOPORTRAIT3D"
    scene.render.film_transparent = True
    color, _ = render(tmp_path)
    assert not color.any()
