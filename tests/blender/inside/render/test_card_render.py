"""A card in another engine's render: each frame shows its own moment, by a real backend process and real Cycles."""

import bpy
import numpy as np
import pytest
from watching import middle, pixels_of, settle, shown

from blender_addon.connection.link import link
from blender_addon.live.card import add_card
from blender_addon.scene.camera import render_size
from blender_addon.scene.camera_image import image_name
from blender_addon.scene.head import mesh_of

SIZE = 64


pytestmark = pytest.mark.usefixtures("own_backend")


@pytest.fixture
def head(scene, little_head):
    """A head that moves from the left to the right in frames 1 and 2; Cycles sees it by a card alone."""
    head = little_head
    scene.render.engine = "CYCLES"
    scene.cycles.samples = 1
    scene.render.film_transparent = True
    scene.render.image_settings.color_mode = "RGBA"
    scene.render.resolution_x = scene.render.resolution_y = SIZE
    scene.frame_start, scene.frame_end = 1, 2
    for frame, x in ((1, -0.1), (2, 0.1)):
        head.location.x = x
        head.keyframe_insert("location", frame=frame)
    mesh_of(head).visible_camera = False
    bpy.context.view_layer.update()
    add_card(bpy.context, scene.camera)
    yield head
    scene.turboportrait.live = False
    scene.frame_set(1)


def render(scene, tmp_path) -> list[np.ndarray]:
    """Both frames (H, W, 4), as an animation render writes them."""
    scene.render.filepath = str(tmp_path / "frame_")
    assert bpy.ops.render.render(animation=True) == {"FINISHED"}
    frames = []
    for number in (1, 2):
        image = bpy.data.images.load(str(tmp_path / f"frame_{number:04}.png"))
        frames.append(pixels_of(image))
        bpy.data.images.remove(image)
    return frames


def test_each_frame_of_an_animation_shows_its_own_moment(scene, head, tmp_path):
    left, right = render(scene, tmp_path)
    assert middle(left) == pytest.approx(0.5 - 0.1 / 0.72, abs=0.03)
    assert middle(right) == pytest.approx(0.5 + 0.1 / 0.72, abs=0.03)


def test_the_card_follows_a_zoom_and_a_render_border_does_not_crop_it(scene, head, tmp_path):
    for frame, lens in ((1, 50), (2, 80)):
        scene.camera.data.lens = lens
        scene.camera.data.keyframe_insert("lens", frame=frame)
    scene.render.use_border = True
    scene.render.border_min_x, scene.render.border_max_x = 0.25, 1.0
    scene.render.border_min_y, scene.render.border_max_y = 0.0, 1.0
    _, right = render(scene, tmp_path)
    assert render_size(scene.render) == tuple(bpy.data.images[image_name(scene.camera)].size)
    assert middle(right) == pytest.approx(0.5 + 0.1 / 0.72 * 80 / 50, abs=0.04)


def test_a_frame_without_a_picture_has_an_empty_card_and_says_so(scene, head, tmp_path, capfd):
    add_on = bpy.context.preferences.addons["blender_addon"].preferences
    bpy.ops.turboportrait.stop_backend()
    add_on.start_automatically = False
    frames = render(scene, tmp_path)
    add_on.start_automatically = True
    assert not np.any([frame[..., 3] for frame in frames])
    assert link.failed
    assert "frame 2" in link.message
    assert "frame 1" in capfd.readouterr().err


def test_afterwards_the_live_preview_shows_the_current_frame_again(scene, head, tmp_path):
    scene.turboportrait.live_size = SIZE
    scene.turboportrait.live = True
    bpy.context.view_layer.update()
    render(scene, tmp_path)
    assert scene.frame_current == 1
    assert middle(shown(scene.camera)) > 0.5
    settle(scene)
    assert middle(shown(scene.camera)) < 0.5
