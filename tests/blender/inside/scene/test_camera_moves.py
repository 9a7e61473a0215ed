"""Camera presets: what they promise, seen through Blender's own projection."""

from types import SimpleNamespace

import bpy
import numpy as np
import pytest
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Euler, Matrix, Vector

from blender_addon.scene.camera_moves import add_camera, dolly, frame_head, head_centre, turntable, view_head
from blender_addon.scene.head import add_head


@pytest.fixture
def head(scene, head_model):
    head = add_head(bpy.context, head_model, "Ada")
    turn = Euler((0.1, 0.2, 0.9)).to_matrix().to_4x4()
    head.matrix_world = Matrix.Translation((2, 1, 0.5)) @ turn @ Matrix.Scale(3, 4)
    scene.frame_start, scene.frame_end = 1, 25
    bpy.context.view_layer.update()
    return head


def seen(scene, point) -> Vector:
    bpy.context.view_layer.update()
    return world_to_camera_view(scene, scene.camera, point)


@pytest.mark.parametrize(("width", "height", "lens"), [(512, 512, 50), (1920, 1080, 85), (600, 1000, 30)])
def test_a_framed_head_is_upright_in_the_middle_and_faces_the_camera(scene, head, width, height, lens):
    scene.render.resolution_x, scene.render.resolution_y = width, height
    scene.camera.data.lens = lens
    frame_head(scene, head, scene.camera)
    middle = seen(scene, head_centre(head))
    assert (middle.x, middle.y) == (pytest.approx(0.5, abs=1e-4), pytest.approx(0.5, abs=1e-4))
    # 0.2 m of the head, at its scale of 3, up its own axis: about half of the frame's shorter side.
    above = seen(scene, head_centre(head) + head.matrix_world.to_3x3() @ Vector((0, 0, 0.2)))
    assert above.x == pytest.approx(0.5, abs=1e-4)
    assert (above.y - 0.5) * height / min(width, height) == pytest.approx(0.2 / 0.42, abs=0.01)


def test_a_turntable_keeps_the_head_in_the_middle_and_turns_as_far_as_told(scene, head):
    frame_head(scene, head, scene.camera)
    bpy.context.view_layer.update()
    start = scene.camera.matrix_world.copy()
    turntable(bpy.context, head, scene.camera, 1, 25, np.radians(90))
    directions = []
    for frame in (1, 7, 13, 25):
        scene.frame_set(frame)
        middle = seen(scene, head_centre(head))
        assert (middle.x, middle.y) == (pytest.approx(0.5, abs=1e-4), pytest.approx(0.5, abs=1e-4))
        directions.append(scene.camera.matrix_world.to_3x3().col[2].copy())
        if frame == 13:
            np.testing.assert_allclose(scene.camera.matrix_world, start, atol=1e-4)
    assert directions[0].angle(directions[-1]) == pytest.approx(np.radians(90), abs=1e-3)
    assert directions[0].angle(directions[1]) == pytest.approx(np.radians(22.5), abs=1e-3)


def test_a_dolly_zoom_holds_the_heads_size(scene, head):
    frame_head(scene, head, scene.camera)
    bpy.context.view_layer.update()
    up = head.matrix_world.to_3x3() @ Vector((0, 0, 0.1))
    dolly(head, scene.camera, 1, 25, 0.5, hold_size=True)
    sizes, distances = [], []
    for frame in (1, 25):
        scene.frame_set(frame)
        sizes.append(seen(scene, head_centre(head) + up).y - seen(scene, head_centre(head)).y)
        distances.append(seen(scene, head_centre(head)).z)
    assert distances[1] == pytest.approx(distances[0] / 2, rel=1e-3)
    assert sizes[0] == pytest.approx(sizes[1], rel=1e-3)


def test_cuts_are_markers_that_blender_follows(scene, head):
    bpy.ops.turboportrait.add_camera()
    other = next(thing for thing in scene.objects if thing.type == "CAMERA" and thing != scene.camera)
    first = scene.camera
    for frame, camera in ((1, first), (10, other), (10, first), (10, other)):
        scene.frame_set(frame)
        bpy.context.view_layer.objects.active = camera
        assert bpy.ops.turboportrait.cut_to_camera() == {"FINISHED"}
    assert len(scene.timeline_markers) == 2
    for frame, camera in ((1, first), (9, first), (10, other), (25, other)):
        scene.frame_set(frame)
        assert scene.camera == camera


def test_what_can_not_be_framed_says_why(scene, head):
    scene.camera.data.type = "ORTHO"
    with pytest.raises(RuntimeError, match="perspective"):
        bpy.ops.turboportrait.frame_head()
    scene.camera = None
    assert not bpy.ops.turboportrait.turntable.poll()


def test_a_new_head_is_brought_into_view_unless_a_camera_is_looked_through(head):
    context = SimpleNamespace(screen=bpy.data.screens["Layout"])
    (area,) = [area for area in context.screen.areas if area.type == "VIEW_3D"]
    view = area.spaces.active.region_3d
    view.view_perspective = "PERSP"
    view_head(context, head)
    assert (view.view_location - head_centre(head)).length < 1e-5
    assert view.view_distance == pytest.approx(3.6)
    # From the front, a little aside and above: against the face's direction, upright.
    face, crown = (head.matrix_world.to_3x3().normalized() @ Vector(axis) for axis in ((0, -1, 0), (0, 0, 1)))
    assert (view.view_rotation @ Vector((0, 0, 1))).dot(face) == pytest.approx(
        np.cos(0.4363) * np.cos(0.1396), abs=1e-3
    )
    assert (view.view_rotation @ Vector((0, 1, 0))).dot(crown) > 0.9
    view.view_perspective, view.view_location = "CAMERA", (0, 0, 0)
    view_head(context, head)
    assert view.view_location.length == 0
    view_head(SimpleNamespace(screen=None), head)


def test_a_cameras_wire_is_no_larger_than_a_head(head):
    assert add_camera(bpy.context, head).data.display_size < 0.2
