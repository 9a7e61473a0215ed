"""The rig as an animator meets it: limits, gaze, poses, keyframes, a second head."""

import bpy
import numpy as np
import pytest
from mathutils import Vector

from backend.protocol import HeadParameters
from blender_addon.scene.head import add_head, mesh_of
from blender_addon.scene.parameters import head_parameters
from blender_addon.scene.pose_controls import expression_keys, keyed_paths, remember_portrait
from blender_addon.ui.head_operators import HeadKeyingSet
from blender_addon.ui.head_panels import grouped_expressions

POSE = [[0.05] * 3] * 3 + [[0.05, 0.05, 0.0]] * 2
PORTRAIT = HeadParameters.from_arrays(POSE, [0.0] * 10 + [0.4], (0.01, 0.02, 0.03))


@pytest.fixture
def head(scene, head_model):
    head = add_head(bpy.context, head_model, "Ada")
    remember_portrait(head, PORTRAIT)
    return head


def read(head) -> HeadParameters:
    bpy.context.view_layer.update()
    return head_parameters(head, bpy.context.evaluated_depsgraph_get())


@pytest.mark.parametrize(("bone", "joint", "most"), [("neck", 1, 1.5), ("jaw", 2, 0.55), ("eye_left", 3, 0.75)])
def test_natural_limits_hold_bones_until_they_are_let_go(head, bone, joint, most):
    head.pose.bones[bone].rotation_euler = (3.0, 0, 0)
    assert 0.1 < np.linalg.norm(read(head).joint_rotations[joint]) < most
    head.turboportrait.limits = False
    assert np.linalg.norm(read(head).joint_rotations[joint]) == pytest.approx(3.0, abs=1e-3)


def test_a_jaw_opens_within_its_limits(head):
    head.pose.bones["jaw"].rotation_euler = (-0.4, 0, 0)
    np.testing.assert_allclose(read(head).joint_rotations[2], (0.4, 0, 0), atol=1e-5)


def test_the_eyes_look_at_the_target_as_far_as_told(head):
    eye = head.pose.bones["eye_left"]
    gaze = head.pose.bones["gaze"]
    gaze.matrix = gaze.matrix.copy() @ gaze.matrix.Translation((0.1, 0, 0.1))
    assert np.abs(read(head).joint_rotations[3:]).max() < 1e-5
    head.turboportrait.gaze = 1.0
    bpy.context.view_layer.update()
    evaluated = head.evaluated_get(bpy.context.evaluated_depsgraph_get())
    eye, gaze = evaluated.pose.bones["eye_left"], evaluated.pose.bones["gaze"]
    towards = (gaze.head - eye.head).normalized()
    assert eye.y_axis.dot(towards) > np.cos(np.radians(0.5))
    assert np.abs(read(head).joint_rotations[3:]).max() > 0.1


def test_a_copy_looks_at_its_own_target(head):
    for thing in bpy.context.selected_objects:
        thing.select_set(False)
    for thing in (head, mesh_of(head)):
        thing.select_set(True)
    bpy.ops.object.duplicate()
    (copy,) = [thing for thing in bpy.context.selected_objects if thing.type == "ARMATURE"]
    copy.turboportrait.gaze = 1.0
    copy.pose.bones["gaze"].location = (0.2, 0, 0)
    assert np.abs(read(copy).joint_rotations[3:]).max() > 0.1
    assert np.abs(read(head).joint_rotations[3:]).max() < 1e-5


def test_the_head_returns_to_its_portrait_and_to_rest(head):
    bpy.ops.turboportrait.match_portrait()
    np.testing.assert_allclose(read(head).pose, PORTRAIT.pose, atol=1e-5)
    assert read(head).expression[10] == pytest.approx(0.4)
    bpy.ops.turboportrait.rest_head()
    assert np.abs(read(head).pose).max() < 1e-6
    assert not any(read(head).expression)
    np.testing.assert_allclose(read(head).translation, PORTRAIT.translation, atol=1e-6)


def test_a_head_without_a_portrait_is_told_so(head):
    head.turboportrait.portrait_parameters = ""
    assert not bpy.ops.turboportrait.match_portrait.poll()


def test_one_click_keys_every_control_and_playing_brings_them_back(head):
    bpy.context.scene.frame_set(1)
    bpy.ops.turboportrait.match_portrait()
    bpy.ops.turboportrait.keyframe_head()
    bpy.context.scene.frame_set(10)
    bpy.ops.turboportrait.rest_head()
    head.pose.bones["gaze"].location = (0.1, 0, 0)
    bpy.ops.turboportrait.keyframe_head()
    bpy.context.scene.frame_set(1)
    np.testing.assert_allclose(read(head).pose, PORTRAIT.pose, atol=1e-4)
    assert read(head).expression[10] == pytest.approx(0.4)
    assert head.pose.bones["gaze"].location.length == pytest.approx(0)


def test_auto_key_keys_a_pose_that_a_button_sets(head):
    tools = bpy.context.scene.tool_settings
    tools.use_keyframe_insert_auto = True
    bpy.ops.turboportrait.rest_head()
    tools.use_keyframe_insert_auto = False
    assert head.animation_data.action is not None
    assert mesh_of(head).data.shape_keys.animation_data.action is not None


def test_the_keying_set_is_the_same_controls(head):
    keying_set = bpy.context.scene.keying_sets.new(idname="test")
    HeadKeyingSet.generate(None, bpy.context, keying_set, head)
    assert {(path.id, path.data_path) for path in keying_set.paths} == set(keyed_paths(head))
    assert len(keying_set.paths) > 52 + 7
    assert "TurboPortrait Head" in [each.bl_label for each in bpy.context.scene.keying_sets_all]


def test_expressions_are_found_by_name_and_grouped_by_the_part_of_the_face(head):
    groups = grouped_expressions(head, "")
    assert {"Brow", "Eye", "Jaw", "Mouth"} <= set(groups)
    assert sum(map(len, groups.values())) == len(expression_keys(head)) == 52
    assert [key.name for keys in grouped_expressions(head, "BLINK").values() for key in keys] == [
        "eyeBlinkLeft",
        "eyeBlinkRight",
    ]


def test_the_rig_can_be_saved_appended_and_undone(head, tmp_path):
    path = str(tmp_path / "head.blend")
    bpy.data.libraries.write(path, {head, mesh_of(head)})
    with bpy.data.libraries.load(path) as (stored, wanted):
        wanted.objects = list(stored.objects)
    copy = next(thing for thing in wanted.objects if thing.type == "ARMATURE")
    for thing in wanted.objects:
        if thing.name not in bpy.context.scene.objects and not thing.name.startswith("TP3D"):
            bpy.context.scene.collection.objects.link(thing)
    assert copy.turboportrait.is_head
    copy.turboportrait.gaze = 1.0
    copy.pose.bones["gaze"].location = Vector((0.2, 0, 0))
    assert np.abs(read(copy).joint_rotations[3:]).max() > 0.1


def test_a_head_linked_from_another_file_is_animated_by_overrides(head, tmp_path):
    head.turboportrait.avatar_id = "abc"
    collection = bpy.data.collections.new("Ada")
    for thing in (head, mesh_of(head)):
        collection.objects.link(thing)
    path = str(tmp_path / "head.blend")
    bpy.data.libraries.write(path, {collection})
    for thing in (mesh_of(head), head):
        bpy.data.objects.remove(thing)
    bpy.data.collections.remove(collection)

    with bpy.data.libraries.load(path, link=True) as (_, wanted):
        wanted.collections = ["Ada"]
    scene = bpy.context.scene
    made = wanted.collections[0].override_hierarchy_create(scene, bpy.context.view_layer, do_fully_editable=True)
    ada = next(thing for thing in made.all_objects if thing.turboportrait.is_head)
    assert ada.override_library is not None
    assert ada.turboportrait.avatar_id == "abc"
    assert mesh_of(ada).modifiers["Armature"].object == ada

    ada.pose.bones["jaw"].rotation_euler = (-0.4, 0, 0)
    ada.pose.bones["gaze"].location = (0.2, 0, 0)
    ada.turboportrait.gaze = 1.0
    (smile,) = [key for key in expression_keys(ada) if key.name == "mouthSmileLeft"]
    smile.value = 0.5
    bpy.context.view_layer.objects.active = ada
    assert bpy.ops.turboportrait.keyframe_head() == {"FINISHED"}
    found = read(ada)
    np.testing.assert_allclose(found.joint_rotations[2], (0.4, 0, 0), atol=1e-5)
    assert np.abs(found.joint_rotations[3:]).max() > 0.1
    assert max(found.expression) == pytest.approx(0.5)
    assert ada.animation_data.action is not None
