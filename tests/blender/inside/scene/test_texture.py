"""The texture in the .blend is what the backend films: painted on, saved, sent to another backend."""

import bpy
import numpy as np
import pytest
from watching import stop_backend

from blender_addon.connection import requests
from blender_addon.connection.link import link
from blender_addon.render.view import render_view, request_view
from blender_addon.scene import head_requests
from blender_addon.scene.head import add_head, mesh_of
from blender_addon.scene.material import pixels_of, see_through, set_pixels
from blender_addon.scene.texture import sha256_of, texture_of, texture_sha256
from blender_addon.shots.pose_export import collect

GREEN = (0, 200, 0, 255)


pytestmark = pytest.mark.usefixtures("own_backend")


@pytest.fixture
def head(scene, little_head):
    """A registered little head before the camera."""
    scene.render.resolution_x = scene.render.resolution_y = 64
    scene.turboportrait.output = "RAW"
    bpy.context.view_layer.update()
    return little_head


def paint(head, color=GREEN) -> None:
    image = texture_of(head)
    width, height = image.size
    set_pixels(image, np.full((height, width, 4), color, np.uint8))


def picture() -> np.ndarray:
    """What the backend shows the camera: the opaque pixels (n, 4)."""
    rgba = link.run(render_view(*request_view(bpy.context)))
    return rgba[rgba[..., 3] == 255]


def test_paint_shows_in_the_backends_views_and_in_another_backends(scene, head, tmp_path):
    assert not (picture() == GREEN).all(1).any()
    before = head.turboportrait.avatar_id
    paint(head)
    assert (picture() == GREEN).all()
    path = str(tmp_path / "painted.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    stop_backend()
    requests._current_ids.clear()
    bpy.ops.wm.open_mainfile(filepath=path, load_ui=False)
    assert (picture() == GREEN).all()
    (head,) = (thing for thing in bpy.context.scene.objects if thing.turboportrait.is_head)
    assert head.turboportrait.avatar_id == before
    poses = collect(bpy.context.scene, ())
    assert sha256_of(poses.textures[poses.header.heads[0].texture_sha256]) == texture_sha256(head)
    assert (poses.textures[texture_sha256(head)] == GREEN).all()


def test_the_live_preview_waits_until_the_brush_is_put_away(scene, head):
    viewpoints = [head_requests.camera_viewpoint(scene.camera, scene.render, bpy.context.evaluated_depsgraph_get())]

    def hashed() -> str:
        (request,) = head_requests.heads_seen_from(bpy.context.evaluated_depsgraph_get(), viewpoints)
        return request.texture_sha256

    before = hashed()
    bpy.context.view_layer.objects.active = mesh_of(head)
    bpy.ops.object.mode_set(mode="TEXTURE_PAINT")
    assert hashed() == before
    paint(head)
    assert hashed() == before
    bpy.ops.object.mode_set(mode="OBJECT")
    assert hashed() == sha256_of(pixels_of(texture_of(head))) != before


def test_every_byte_of_a_texture_is_kept(scene, rigged_mesh, tmp_path):
    """Colours under an alpha of zero as well: renderers filter them into their neighbours."""
    head = add_head(bpy.context, rigged_mesh, "Ada")
    image = texture_of(head)
    assert (pixels_of(image) == rigged_mesh.texture).all()
    noise = np.random.default_rng(0).integers(0, 256, rigged_mesh.texture.shape, np.uint8)
    set_pixels(image, noise)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "noise.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "noise.blend"), load_ui=False)
    assert (pixels_of(bpy.data.meshes["Ada mesh"].turboportrait.texture) == noise).all()


def test_only_faces_with_clear_texels_are_blended():
    alpha = np.full((64, 64), 255, np.uint8)
    alpha[:, 40:] = 100
    boxes = np.array([[4, 4], [36, 30], [37, 3], [50, 50]]) / 64
    corner_uv = boxes[:, None] + np.array([[0, 0], [0.02, 0], [0, 0.02]])
    assert see_through(corner_uv, alpha).tolist() == [False, False, False, True]
    alpha[:, 38:] = 100
    assert see_through(corner_uv, alpha).tolist() == [False, False, True, True]
