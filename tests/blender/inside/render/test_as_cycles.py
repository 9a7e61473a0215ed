"""What Blender's users expect of a renderer, measured on Cycles: one scene by both engines, their outlines compared."""

import bpy
import numpy as np
import pytest
from mathutils import Matrix
from watching import pixels_of

from blender_addon.connection.link import link
from blender_addon.scene.head import mesh_of

SIZE = 64


pytestmark = pytest.mark.usefixtures("own_backend")


@pytest.fixture
def head(scene, little_head):
    """A head beside the middle of a camera's frame, one metre away."""
    head = little_head
    # Cycles has no transparency to trace where the shader is plain.
    mesh_of(head).data.materials.clear()
    head.location = (0.09, 0, 0.05)
    scene.render.film_transparent = True
    scene.render.image_settings.color_mode = "RGBA"
    scene.render.resolution_x = scene.render.resolution_y = SIZE
    scene.turboportrait.output = "RAW"
    scene.cycles.samples = 64
    yield head
    scene.render.use_multiview = scene.render.use_motion_blur = False
    scene.frame_end = 250
    scene.frame_set(1)


def alpha(scene, engine: str, tmp_path, suffix: str = "") -> np.ndarray:
    """(H, W), of the current frame as an engine renders it."""
    scene.render.engine = engine
    scene.render.filepath = str(tmp_path / f"{engine}.png")
    assert bpy.ops.render.render(write_still=True) == {"FINISHED"}
    image = bpy.data.images.load(str(tmp_path / f"{engine}{suffix}.png"))
    pixels = pixels_of(image)[..., 3]
    bpy.data.images.remove(image)
    return pixels


def both(scene, tmp_path, suffix: str = "") -> tuple[np.ndarray, np.ndarray]:
    """Ours and Cycles'."""
    bpy.context.view_layer.update()
    found = [alpha(scene, engine, tmp_path, suffix) for engine in ("TURBOPORTRAIT3D", "CYCLES")]
    assert found[1].sum() > 60, "Cycles sees a head"
    return found[0], found[1]


def assert_same_outline(ours: np.ndarray, cycles: np.ndarray) -> None:
    union, common = (ours > 0.5) | (cycles > 0.5), (ours > 0.5) & (cycles > 0.5)
    assert common.sum() / union.sum() > 0.95


def test_a_plain_camera(scene, head, tmp_path):
    ours, cycles = both(scene, tmp_path)
    assert_same_outline(ours, cycles)
    assert not np.allclose(cycles, cycles[:, ::-1], atol=0.5), "a mirror would show"


def test_a_mirrored_camera(scene, head, tmp_path):
    scene.camera.scale.x = -1
    assert_same_outline(*both(scene, tmp_path))


@pytest.mark.parametrize("scale", [(1, 1, 3), (1, 1.5, 1), (-1, 0.4, 1)])
def test_a_camera_under_an_unevenly_scaled_parent(scene, head, tmp_path, scale):
    parent = bpy.data.objects.new("Parent", None)
    scene.collection.objects.link(parent)
    world = scene.camera.matrix_world.copy()
    scene.camera.parent = parent
    scene.camera.matrix_basis = Matrix.Rotation(0.3, 4, "Y") @ Matrix.Rotation(0.2, 4, "Z")
    scene.camera.matrix_parent_inverse = Matrix()
    scene.camera.data.lens = 32
    parent.matrix_world = world @ Matrix.Diagonal((*scale, 1))
    assert_same_outline(*both(scene, tmp_path))


@pytest.mark.parametrize("linked", [True, False])
def test_an_instance_of_a_collection(scene, head, tmp_path, linked):
    collection = bpy.data.collections.new("Ada's")
    for thing in (head, mesh_of(head)):
        for other in thing.users_collection:
            other.objects.unlink(thing)
        collection.objects.link(thing)
    if linked:
        library = str(tmp_path / "Ada.blend")
        bpy.data.libraries.write(library, {collection}, fake_user=True)
        bpy.data.objects.remove(mesh_of(head))
        bpy.data.objects.remove(head)
        bpy.data.collections.remove(collection)
        with bpy.data.libraries.load(library, link=True) as (_, found):
            found.collections = ["Ada's"]
        collection = found.collections[0]
    empty = bpy.data.objects.new("Instance", None)
    empty.instance_type, empty.instance_collection = "COLLECTION", collection
    empty.location, empty.rotation_euler = (-0.15, 0, -0.1), (0, 0.5, 0)
    scene.collection.objects.link(empty)
    # Blender evaluates what an instance needs at the next look.
    bpy.context.view_layer.update()
    assert_same_outline(*both(scene, tmp_path))


@pytest.mark.parametrize("suffix", ["_L", "_R"])
@pytest.mark.parametrize("convergence", ["OFFAXIS", "PARALLEL", "TOE"])
def test_each_eye_of_a_stereo_camera(scene, head, tmp_path, convergence, suffix):
    scene.render.use_multiview = True
    scene.render.image_settings.views_format = "INDIVIDUAL"
    stereo = scene.camera.data.stereo
    stereo.convergence_mode, stereo.interocular_distance, stereo.convergence_distance = convergence, 0.2, 1.2
    assert_same_outline(*both(scene, tmp_path, suffix))


def test_each_camera_of_a_multi_view(scene, head, tmp_path):
    scene.render.use_multiview = True
    scene.render.views_format = "MULTIVIEW"
    scene.render.image_settings.views_format = "INDIVIDUAL"
    scene.camera.name = "Cam_L"
    other = scene.camera.copy()
    other.name, other.location.x = "Cam_R", 0.15
    scene.collection.objects.link(other)
    left, right = (both(scene, tmp_path, suffix) for suffix in ("_L", "_R"))
    scene.render.views_format = "STEREO_3D"
    for ours, cycles in (left, right):
        assert_same_outline(ours, cycles)
    assert np.abs(left[0] - right[0]).max() == 1


@pytest.mark.parametrize("position", ["START", "CENTER", "END"])
def test_motion_blur(scene, head, tmp_path, position):
    for frame, x in ((0, -0.3), (10, 0.3)):
        head.location.x = x
        head.keyframe_insert("location", frame=frame)
    scene.frame_set(5)
    scene.render.use_motion_blur, scene.render.motion_blur_shutter = True, 2.0
    scene.render.motion_blur_position = position
    scene.turboportrait.motion_blur_steps = 16
    ours, cycles = both(scene, tmp_path)
    # Columns through the head: where it was only a part of the time they are half clear.
    half = (cycles > 0.1) & (cycles < 0.9)
    assert half.sum() > 100
    assert np.abs(ours - cycles)[half].mean() < 0.06
    assert scene.frame_current == 5


def test_motion_blur_of_what_does_not_move_costs_nothing(scene, head, tmp_path, monkeypatch):
    from blender_addon.render import engine

    asked = []
    real = engine.render_heads
    monkeypatch.setattr(engine, "render_heads", lambda *arguments: asked.append(1) or real(*arguments))
    scene.render.use_motion_blur = True
    bpy.context.view_layer.update()
    alpha(scene, "TURBOPORTRAIT3D", tmp_path)
    assert len(asked) == 1


def test_what_a_render_leaves_out_is_in_its_report(scene, head, tmp_path, capfd):
    scene.camera.data.dof.use_dof = True
    bpy.context.view_layer.update()
    alpha(scene, "TURBOPORTRAIT3D", tmp_path)
    assert "The backend ignores depth of field" in capfd.readouterr().out


def test_a_frame_that_fails_is_named_and_the_others_are_rendered(scene, head, tmp_path, capfd):
    for frame, size in ((1, 1.0), (2, 2.0), (3, 1.0)):
        head.scale.x = size
        head.keyframe_insert("scale", frame=frame)
    scene.frame_start, scene.frame_end = 1, 3
    scene.render.engine = "TURBOPORTRAIT3D"
    scene.render.filepath = str(tmp_path / "frame_")
    assert bpy.ops.render.render(animation=True) == {"FINISHED"}
    covered = []
    for number in (1, 2, 3):
        image = bpy.data.images.load(str(tmp_path / f"frame_{number:04}.png"))
        covered.append(bool(pixels_of(image)[..., 3].any()))
        bpy.data.images.remove(image)
    assert covered == [True, False, True]
    assert "Frame 2" in capfd.readouterr().out
    assert link.failed
    assert link.message.endswith(": 2")


def test_an_animation_without_a_backend_ends_at_once(scene, head, tmp_path):
    add_on = bpy.context.preferences.addons["blender_addon"].preferences
    bpy.ops.turboportrait.stop_backend()
    add_on.start_automatically = False
    scene.frame_start, scene.frame_end = 1, 3
    scene.render.engine = "TURBOPORTRAIT3D"
    scene.render.filepath = str(tmp_path / "frame_")
    with pytest.raises(RuntimeError, match="backend"):
        bpy.ops.render.render(animation=True)
    add_on.start_automatically = True
    assert not (tmp_path / "frame_0003.png").exists()
