"""A head in Blender moves as the head model says, and can be copied, saved, animated and driven as any character."""

import bpy
import numpy as np
import pytest
from bpy_extras.object_utils import world_to_camera_view
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mathutils import Matrix, Vector

from backend.protocol.head_parameters import JOINTS, HeadParameters
from blender_addon.scene.camera import blender_to_head, head_to_blender, render_size, view_of_head
from blender_addon.scene.head import add_head, head_of, mesh_of, replace_head, visible_heads
from blender_addon.scene.parameters import apply_parameters, head_parameters
from blender_addon.scene.rig_controls import GAZE
from flame import pose_vertices

angles = st.lists(st.floats(-0.6, 0.6), min_size=15, max_size=15)
coefficients = st.lists(st.floats(0, 1), min_size=52, max_size=52)
ordinary = settings(
    max_examples=15, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def head(scene, head_model):
    """A head that takes any pose: what its natural limits do is tested beside them."""
    head = add_head(bpy.context, head_model, "Ada")
    head.turboportrait.limits = False
    return head


def evaluated_vertices(head) -> np.ndarray:
    """(V, 3), what Blender itself makes of the mesh, in head space."""
    depsgraph = bpy.context.evaluated_depsgraph_get()
    thing = mesh_of(head).evaluated_get(depsgraph)
    mesh = thing.to_mesh()
    flat = np.empty(3 * len(mesh.vertices), np.float32)
    mesh.vertices.foreach_get("co", flat)
    thing.to_mesh_clear()
    return blender_to_head(flat.reshape(-1, 3))


def posed(source, rest, joints, weights, parameters) -> np.ndarray:
    return pose_vertices(
        rest, joints, source.parents, weights, parameters.joint_rotations, np.array(parameters.translation, np.float32)
    )


@ordinary
@given(pose=angles, expression=coefficients, translation=st.tuples(*[st.floats(-1, 1)] * 3))
def test_blender_poses_as_the_head_model(head, head_model, pose, expression, translation):
    parameters = HeadParameters.from_arrays(pose, expression, translation)
    apply_parameters(head, parameters)
    rest = head_model.rest_vertices(None, np.array(expression))
    joints = head_model.rest_joints(head_model.v_template)
    expected = posed(head_model, rest, joints, head_model.lbs_weights, parameters)
    np.testing.assert_allclose(evaluated_vertices(head), expected, atol=2e-6)


@ordinary
@given(pose=angles, expression=coefficients, translation=st.tuples(*[st.floats(-1, 1)] * 3))
def test_parameters_read_back_as_written(head, pose, expression, translation):
    apply_parameters(head, HeadParameters.from_arrays(pose, expression, translation))
    read = head_parameters(head, bpy.context.evaluated_depsgraph_get())
    np.testing.assert_allclose(read.pose, pose, atol=1e-5)
    np.testing.assert_allclose(read.expression, expression, atol=1e-6)
    np.testing.assert_allclose(read.translation, translation, atol=1e-5)


@ordinary
@given(
    pose=angles,
    expression=coefficients,
    yaw=st.floats(-1.2, 1.2),
    distance=st.floats(0.6, 3),
    lens=st.floats(35, 120),
    scale=st.floats(0.2, 5),
)
def test_landmarks_fall_where_blenders_camera_sees_them(
    scene, head, head_model, pose, expression, yaw, distance, lens, scale
):
    """Blender's own vertices through Blender's own camera against the backend's of the parameters that it is sent."""
    apply_parameters(head, HeadParameters.from_arrays(pose, expression))
    head.matrix_world = Matrix.Translation((0.4, -0.2, 1.1)) @ Matrix.Rotation(0.7, 4, "Z") @ Matrix.Scale(scale, 4)
    turn = Matrix.Rotation(yaw, 4, "Z") @ Matrix.Translation((0, -distance * scale, 0))
    scene.camera.matrix_world = head.matrix_world.normalized() @ turn @ Matrix.Rotation(np.pi / 2, 4, "X")
    scene.camera.data.lens = lens
    bpy.context.view_layer.update()
    depsgraph = bpy.context.evaluated_depsgraph_get()

    sent = head_parameters(head, depsgraph)
    view = view_of_head(scene.camera, head.evaluated_get(depsgraph).matrix_world, scene.render, depsgraph)
    rest = head_model.rest_vertices(None, np.array(sent.expression))
    joints = head_model.rest_joints(head_model.v_template)
    vertices = posed(head_model, rest, joints, head_model.lbs_weights, sent)
    backend = view.camera.project(head_model.landmark_positions(vertices))

    size = np.array(render_size(scene.render))
    points = head_model.landmark_positions(evaluated_vertices(head).astype(np.float32))
    for index in (33, 133, 362, 263, 1, 61, 291, 152):
        world = head.matrix_world @ Vector(head_to_blender(points[index]))
        seen = world_to_camera_view(scene, scene.camera, world)
        pixel = np.array([seen.x, 1 - seen.y]) * size
        assert np.abs(pixel - backend[index]).max() < 1.0


def test_the_rig_has_the_names_that_animators_and_face_capture_expect(head, head_model):
    assert {bone.name for bone in head.data.bones} == {*JOINTS, GAZE}
    assert head.data.bones["jaw"].parent.name == "neck"
    keys = mesh_of(head).data.shape_keys.key_blocks
    assert [key.name for key in keys] == ["Basis", *head_model.expression_names]
    assert {"jawOpen", "eyeBlinkLeft", "mouthSmileRight"} <= {key.name for key in keys}
    assert all(key.value == 0 for key in keys[1:])
    assert {group.name for group in mesh_of(head).vertex_groups} == set(JOINTS)


def test_drivers_constraints_and_actions_count(scene, head):
    mesh = mesh_of(head)
    driver = mesh.data.shape_keys.key_blocks["jawOpen"].driver_add("value").driver
    driver.expression = "frame / 100"
    constraint = head.pose.bones["neck"].constraints.new("LIMIT_ROTATION")
    constraint.use_limit_x, constraint.max_x, constraint.owner_space = True, 0.1, "LOCAL"
    bone = head.pose.bones["neck"]
    bone.rotation_euler = (0, 0, 0)
    bone.keyframe_insert("rotation_euler", frame=1)
    bone.rotation_euler = (0.5, 0, 0)
    bone.keyframe_insert("rotation_euler", frame=41)
    scene.frame_set(41)
    read = head_parameters(head, bpy.context.evaluated_depsgraph_get())
    assert read.expression[head_names(mesh).index("jawOpen")] == pytest.approx(0.41, abs=1e-6)
    assert np.linalg.norm(read.joint_rotations[1]) == pytest.approx(0.1, abs=1e-4)


def test_nla_strips_count(scene, head):
    key = mesh_of(head).data.shape_keys
    block = key.key_blocks["mouthSmileLeft"]
    for frame, value in ((1, 0.0), (11, 1.0)):
        block.value = value
        block.keyframe_insert("value", frame=frame)
    data = key.animation_data
    strip = data.nla_tracks.new().strips.new("smile", 101, data.action)
    if hasattr(strip, "action_slot") and strip.action_slot is None:
        strip.action_slot = data.action_slot
    data.action = None
    scene.frame_set(111)
    read = head_parameters(head, bpy.context.evaluated_depsgraph_get())
    assert read.expression[head_names(mesh_of(head)).index("mouthSmileLeft")] == pytest.approx(1.0, abs=1e-5)


def head_names(mesh) -> list[str]:
    return mesh.data.turboportrait.expression_names.split("\n")


def test_a_muted_or_removed_shape_key_is_zero(head):
    keys = mesh_of(head).data.shape_keys.key_blocks
    keys["jawOpen"].value = keys["jawLeft"].value = 1.0
    keys["jawOpen"].mute = True
    mesh_of(head).shape_key_remove(keys["jawLeft"])
    assert not any(head_parameters(head, bpy.context.evaluated_depsgraph_get()).expression)


def test_an_avatar_takes_the_heads_place_and_keeps_its_animation(scene, head, rigged_mesh):
    mesh = mesh_of(head)
    keys = mesh.data.shape_keys
    keys.key_blocks["jawOpen"].value = 0.25
    for frame, value in ((1, 0.0), (11, 1.0)):
        keys.key_blocks["mouthPucker"].value = value
        keys.key_blocks["mouthPucker"].keyframe_insert("value", frame=frame)
    keys.key_blocks["browInnerUp"].driver_add("value").driver.expression = "0.5"
    head.pose.bones["neck"].rotation_euler = (0.2, 0, 0)
    replace_head(bpy.context, head, rigged_mesh)
    assert mesh_of(head) is mesh
    scene.frame_set(11)
    read = head_parameters(head, bpy.context.evaluated_depsgraph_get())
    names = head_names(mesh)
    assert read.expression[names.index("mouthPucker")] == pytest.approx(1.0)
    assert read.expression[names.index("browInnerUp")] == pytest.approx(0.5)
    assert read.expression[names.index("jawOpen")] == pytest.approx(0.25)
    assert np.linalg.norm(read.joint_rotations[1]) == pytest.approx(0.2, abs=1e-5)
    texture = mesh.data.materials[0].node_tree.nodes.active.image
    assert texture.packed_file
    assert tuple(texture.size) == (256, 256)


def test_an_avatars_mesh_moves_as_the_avatar(scene, rigged_mesh):
    head = add_head(bpy.context, rigged_mesh, "Ada")
    head.turboportrait.limits = False
    parameters = HeadParameters.from_arrays(np.full(15, 0.2), np.full(52, 0.3), (0.1, 0.2, 0.3))
    apply_parameters(head, parameters)
    rest = rigged_mesh.vertices.copy()
    moved = np.tensordot(np.array(parameters.expression, np.float32), rigged_mesh.expression_offsets, 1)
    rest[rigged_mesh.expression_vertices] += moved
    expected = posed(rigged_mesh, rest, rigged_mesh.joints, rigged_mesh.skin_weights, parameters)
    np.testing.assert_allclose(evaluated_vertices(head), expected, atol=2e-6)


def test_a_copy_is_a_head_of_its_own(scene, head):
    mesh = mesh_of(head)
    for thing in (head, mesh):
        thing.select_set(True)
    bpy.ops.object.duplicate()
    copy = next(thing for thing in bpy.context.selected_objects if thing.type == "ARMATURE")
    assert copy is not head
    assert mesh_of(copy) is not mesh
    mesh_of(copy).data.shape_keys.key_blocks["jawOpen"].value = 0.7
    copy.pose.bones["jaw"].rotation_euler = (0.3, 0, 0)
    depsgraph = bpy.context.evaluated_depsgraph_get()
    assert {seen.head for seen in visible_heads(depsgraph)} == {head, copy}
    assert not any(head_parameters(head, depsgraph).expression)
    assert any(head_parameters(copy, depsgraph).expression)


def test_hiding_the_armature_hides_no_head_but_hiding_the_mesh_does(scene, head):
    head.hide_viewport = head.hide_render = True
    bpy.context.view_layer.update()
    assert [seen.head for seen in visible_heads(bpy.context.evaluated_depsgraph_get())] == [head]
    mesh_of(head).hide_viewport = True
    bpy.context.view_layer.update()
    assert list(visible_heads(bpy.context.evaluated_depsgraph_get())) == []


def test_a_head_can_be_appended_from_another_file(scene, head, rigged_mesh, tmp_path):
    replace_head(bpy.context, head, rigged_mesh)
    head.turboportrait.avatar_id = "abc"
    path = str(tmp_path / "ada.blend")
    bpy.data.libraries.write(path, {head, mesh_of(head)})
    with bpy.data.libraries.load(path) as (_, wanted):
        wanted.objects = ["Ada", "Ada mesh"]
    for thing in wanted.objects:
        scene.collection.objects.link(thing)
    other = next(thing for thing in wanted.objects if thing.type == "ARMATURE")
    assert other.turboportrait.avatar_id == "abc"
    apply_parameters(other, HeadParameters.from_arrays(np.full(15, 0.1)))
    depsgraph = bpy.context.evaluated_depsgraph_get()
    assert head_parameters(other, depsgraph).pose[0] == pytest.approx(0.1, abs=1e-5)
    assert head_parameters(head, depsgraph).pose[0] == pytest.approx(0.0, abs=1e-6)
    assert mesh_of(other).modifiers["Armature"].object == other


def test_undo_takes_a_head_away_and_redo_brings_it_back(scene, head_model):
    bpy.ops.ed.undo_push(message="before")
    add_head(bpy.context, head_model, "Undone")
    bpy.ops.ed.undo_push(message="after")
    bpy.ops.ed.undo()
    assert "Undone" not in bpy.data.objects
    bpy.ops.ed.redo()
    assert head_of(bpy.data.objects["Undone mesh"]) == bpy.data.objects["Undone"]


def test_a_head_without_its_bones_says_so(head):
    bpy.context.view_layer.objects.active = head
    bpy.ops.object.mode_set(mode="EDIT")
    head.data.edit_bones.remove(head.data.edit_bones["jaw"])
    bpy.ops.object.mode_set(mode="OBJECT")
    with pytest.raises(ValueError, match="lacks the bones jaw"):
        head_parameters(head, bpy.context.evaluated_depsgraph_get())
