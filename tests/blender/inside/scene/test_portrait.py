"""The portrait that a .blend keeps, and the size of what is added beside it."""

import bpy
import numpy as np
import pytest

from backend.protocol import Camera
from blender_addon.scene.camera import view_of_head
from blender_addon.scene.camera_moves import add_camera
from blender_addon.scene.head import add_head, mesh_of
from blender_addon.scene.portrait import add_portrait_camera, pack_portrait, portrait_bytes
from blender_addon.scene.texture import image_key, sha256_of


@pytest.fixture
def packed(scene, little_photo, tmp_path, monkeypatch):
    """A portrait in a saved .blend."""
    path = tmp_path / "Ada.png"
    path.write_bytes(little_photo)
    image = pack_portrait(str(path), little_photo)
    path.unlink()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "ada.blend"))
    return image


def digest(photo: bytes) -> str:
    return sha256_of(np.frombuffer(photo, np.uint8))


@pytest.mark.parametrize("method", ["WRITE_LOCAL", "WRITE_ORIGINAL"])
def test_a_photo_that_was_unpacked_to_a_file_is_found_by_its_checksum(packed, little_photo, method):
    assert portrait_bytes(image_key(packed), digest(little_photo)) == little_photo
    packed.unpack(method=method)
    assert packed.packed_file is None
    assert portrait_bytes(image_key(packed), digest(little_photo)) == little_photo


def test_another_file_in_its_place_is_not_taken_for_it(packed, little_photo):
    packed.unpack(method="WRITE_LOCAL")
    with open(bpy.path.abspath(packed.filepath), "ab") as file:
        file.write(b"painted over")
    assert portrait_bytes(image_key(packed), digest(little_photo)) == b""


def test_a_photo_that_is_gone_is_lost(packed, little_photo):
    packed.unpack(method="REMOVE")
    assert portrait_bytes(image_key(packed), digest(little_photo)) == b""
    assert portrait_bytes(image_key(None), digest(little_photo)) == b""


@pytest.mark.parametrize("scale", [0.01, 1.0, 0.001])
def test_a_head_has_its_natural_size_whatever_the_unit_scale(scene, head_model, scale):
    units = scene.unit_settings
    units.system, units.scale_length = "METRIC", scale
    try:
        head = add_head(bpy.context, head_model, "Ada")
        height = mesh_of(head).dimensions.z * scale
        assert height == pytest.approx(np.ptp(head_model.v_template[:, 1]), rel=0.02)
        for camera in (
            add_camera(bpy.context, head),
            add_portrait_camera(bpy.context, head, Camera.from_arrays(*portrait_view(), 256, 256)),
        ):
            bpy.context.view_layer.update()
            depsgraph = bpy.context.evaluated_depsgraph_get()
            view = view_of_head(camera, head.matrix_world, scene.render, depsgraph)
            assert 0.3 < np.linalg.norm(view.camera.center) < 3
            assert camera.data.clip_start < (camera.location - head.location).length < camera.data.clip_end
    finally:
        units.scale_length = 1.0


def portrait_view():
    return np.array([[500.0, 0, 128], [0, 500, 128], [0, 0, 1]]), np.array(
        [[1.0, 0, 0, 0], [0, -1, 0, 0], [0, 0, -1, 1], [0, 0, 0, 1]]
    )
