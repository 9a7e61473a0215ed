"""The camera on the wire sees what Blender's camera sees."""

import bpy
import numpy as np
import pytest
from bpy_extras.object_utils import world_to_camera_view
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mathutils import Euler, Matrix, Vector

from blender_addon.scene.camera import (
    CameraError,
    blender_to_head,
    head_to_blender,
    place_camera,
    render_size,
    render_window,
    view_of_head,
)

angle = st.floats(-3.0, 3.0)
ordinary = settings(
    max_examples=80, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def transform(rotation, location, scale=1.0) -> Matrix:
    return Matrix.Translation(location) @ Euler(rotation).to_matrix().to_4x4() @ Matrix.Scale(scale, 4)


@st.composite
def setups(draw):
    """Lens, render settings, and the places of camera and head with points in front of the camera."""
    return {
        "lens": draw(st.floats(10, 200)),
        "sensor_fit": draw(st.sampled_from(["AUTO", "HORIZONTAL", "VERTICAL"])),
        "sensor_width": draw(st.floats(10, 70)),
        "sensor_height": draw(st.floats(10, 70)),
        "shift": draw(st.tuples(st.floats(-1, 1), st.floats(-1, 1))),
        # Whole pixels at every percentage: world_to_camera_view knows nothing of rounding.
        "resolution": draw(st.tuples(*[st.integers(4, 1000).map(lambda n: 4 * n)] * 2)),
        "percentage": draw(st.sampled_from([25, 50, 100, 150, 200])),
        "aspect": draw(st.tuples(st.floats(1, 3), st.floats(1, 3))),
        "border": draw(st.none() | st.tuples(*[st.floats(0, 0.45)] * 2, *[st.floats(0.55, 1)] * 2)),
        "camera": (draw(st.tuples(angle, angle, angle)), draw(st.tuples(*[st.floats(-5, 5)] * 3))),
        "camera_scale": draw(st.floats(0.2, 5)),
        "head": (draw(st.tuples(angle, angle, angle)), draw(st.floats(0.1, 10))),
        "points": draw(st.lists(st.tuples(*[st.floats(-0.9, 0.9)] * 2, st.floats(0.3, 20)), min_size=1, max_size=4)),
    }


def prepare(scene, setup) -> Matrix:
    camera, render = scene.camera, scene.render
    camera.data.type = "PERSP"
    camera.data.lens, camera.data.sensor_fit = setup["lens"], setup["sensor_fit"]
    camera.data.sensor_width, camera.data.sensor_height = setup["sensor_width"], setup["sensor_height"]
    camera.data.shift_x, camera.data.shift_y = setup["shift"]
    render.resolution_x, render.resolution_y = setup["resolution"]
    render.resolution_percentage = setup["percentage"]
    render.pixel_aspect_x, render.pixel_aspect_y = setup["aspect"]
    render.use_border = setup["border"] is not None
    if setup["border"]:
        render.border_min_x, render.border_min_y, render.border_max_x, render.border_max_y = setup["border"]
    camera.matrix_world = transform(*setup["camera"], setup["camera_scale"])
    bpy.context.view_layer.update()
    return transform(setup["head"][0], (0.3, -0.2, 0.1), setup["head"][1])


@ordinary
@given(setup=setups())
def test_projects_as_blender_does(scene, setup):
    head = prepare(scene, setup)
    view = view_of_head(scene.camera, head, scene.render, bpy.context.evaluated_depsgraph_get())
    width, height = render_size(scene.render)
    x0, y0, window_width, window_height = render_window(scene.render)
    assert (view.camera.width, view.camera.height) == (window_width, window_height)
    place = scene.camera.matrix_world.normalized()
    for x, y, depth in setup["points"]:
        world = place @ Vector((x * depth, y * depth, -depth))
        expected = world_to_camera_view(scene, scene.camera, world)
        point = blender_to_head(np.array(head.inverted() @ world))
        pixel = view.camera.project(point)
        # Blender's own arithmetic is 32 bit: far outside a wide frame its last digit is more than 0.01 pixel.
        tolerance = 0.01 * max(1.0, np.abs([expected.x, expected.y]).max())
        assert pixel[0] + x0 == pytest.approx(expected.x * width, abs=tolerance)
        assert pixel[1] + y0 == pytest.approx((1 - expected.y) * height, abs=tolerance)
        assert view.camera.to_camera(point)[2] * view.scale == pytest.approx(expected.z, rel=1e-4, abs=1e-4)


@ordinary
@given(setup=setups())
def test_placing_a_camera_is_the_reverse(scene, setup):
    head = prepare(scene, setup)
    scene.render.use_border = False
    depsgraph = bpy.context.evaluated_depsgraph_get()
    camera = view_of_head(scene.camera, head, scene.render, depsgraph).camera
    place_camera(scene.camera, camera, head, scene.render.pixel_aspect_y / scene.render.pixel_aspect_x)
    bpy.context.view_layer.update()
    again = view_of_head(scene.camera, head, scene.render, bpy.context.evaluated_depsgraph_get()).camera
    np.testing.assert_allclose(again.K, camera.K, rtol=1e-4, atol=0.01)
    np.testing.assert_allclose(again.world_to_camera, camera.world_to_camera, rtol=1e-4, atol=1e-4)


def test_a_head_at_rest_faces_the_viewer_of_the_front_view():
    np.testing.assert_allclose(head_to_blender(np.array([0.0, 0, 1])), [0, -1, 0])
    np.testing.assert_allclose(head_to_blender(np.array([0.0, 1, 0])), [0, 0, 1])
    np.testing.assert_allclose(head_to_blender(np.array([1.0, 0, 0])), [1, 0, 0])
    points = np.random.default_rng(0).normal(size=(5, 3))
    np.testing.assert_allclose(blender_to_head(head_to_blender(points)), points)


@pytest.mark.parametrize("kind", ["ORTHO", "PANO"])
def test_other_lenses_are_refused(scene, kind):
    scene.camera.data.type = kind
    with pytest.raises(CameraError, match="Perspective"):
        view_of_head(scene.camera, Matrix(), scene.render, bpy.context.evaluated_depsgraph_get())


@pytest.mark.parametrize("scale", [(1, 2, 1), (-1, 1, 1), (0, 0, 0)])
def test_a_stretched_head_is_refused(scene, scale):
    with pytest.raises(CameraError, match="scale"):
        view_of_head(scene.camera, Matrix.Diagonal((*scale, 1)), scene.render, bpy.context.evaluated_depsgraph_get())
