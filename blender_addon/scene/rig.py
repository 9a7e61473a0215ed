"""The head's armature: one bone per FLAME joint, and the pose of its bones as axis-angle and back."""

from __future__ import annotations

from collections.abc import Sequence

import bpy
import numpy as np
from bpy.app.translations import pgettext_rpt as rpt_
from mathutils import Matrix, Vector

from backend.protocol.head_parameters import JOINTS
from flame.rotations import axis_angle_to_matrix, matrix_to_axis_angle

from .camera import HEAD_TO_BLENDER, blender_to_head, head_to_blender
from .rig_controls import equip, place_gaze

BONE_DIRECTIONS = {
    "global": (0.0, 1.0, 0.0),
    "neck": (0.0, 1.0, 0.0),
    "jaw": (0.0, -0.5, 1.0),
    "eye_left": (0.0, 0.0, 1.0),
    "eye_right": (0.0, 0.0, 1.0),
}
"""Where each bone points at rest, in head space: an eye's bone along its gaze, so that Track To works on it."""
BONE_LENGTHS = {"global": 0.06, "neck": 0.08, "jaw": 0.08, "eye_left": 0.04, "eye_right": 0.04}


def build_armature(
    context: bpy.types.Context, name: str, joints: np.ndarray, parents: np.ndarray | Sequence[int]
) -> bpy.types.Object:
    """Make an armature object with a bone per joint and link it to the context's collection.

    Args:
        joints: (5, 3) rest positions in head space, metres, in the order of `JOINTS`.
        parents: (5,) index of each joint's parent, -1 for the root.
    """
    if context.mode != "OBJECT":
        bpy.ops.object.mode_set(mode="OBJECT")
    armature = bpy.data.armatures.new(name)
    rig = bpy.data.objects.new(name, armature)
    context.collection.objects.link(rig)
    # Blender makes bones only in edit mode, and only the active object's.
    for selected in context.selected_objects:
        selected.select_set(False)
    context.view_layer.objects.active = rig
    rig.select_set(True)
    bpy.ops.object.mode_set(mode="EDIT")
    place_bones(armature, joints, parents)
    bpy.ops.object.mode_set(mode="OBJECT")
    for bone in rig.pose.bones:
        bone.rotation_mode = "XYZ"
        bone.lock_scale = (True, True, True)
        bone.lock_location = (bone.name != "global",) * 3
    equip(rig)
    armature.display_type = "STICK"
    rig.show_in_front = True
    return rig


def place_bones(armature: bpy.types.Armature, joints: np.ndarray, parents: np.ndarray | Sequence[int]) -> None:
    """Give an armature in edit mode the joints' bones, or move those it has (same arguments as `build_armature`)."""
    bones = armature.edit_bones
    for name, head in zip(JOINTS, head_to_blender(np.asarray(joints, float)), strict=True):
        bone = bones.get(name) or bones.new(name)
        direction = np.array(BONE_DIRECTIONS[name])
        direction *= BONE_LENGTHS[name] / np.linalg.norm(direction)
        bone.head = head
        bone.tail = head + head_to_blender(direction)
        bone.align_roll(Vector((0.0, -1.0, 0.0)) if name in ("global", "neck") else Vector((0.0, 0.0, 1.0)))
    place_gaze(armature)
    for name, parent in zip(JOINTS, parents, strict=True):
        bones[name].parent = bones[JOINTS[parent]] if parent >= 0 else None


def move_bones(
    context: bpy.types.Context, rig: bpy.types.Object, joints: np.ndarray, parents: np.ndarray | Sequence[int]
) -> None:
    """Move a rig's bones to another head's joints; poses and keyframes stay."""
    if rig.data.users > 1:
        # A linked duplicate: the other head keeps its joints.
        rig.data = rig.data.copy()
    if context.mode != "OBJECT":
        bpy.ops.object.mode_set(mode="OBJECT")
    context.view_layer.objects.active = rig
    bpy.ops.object.mode_set(mode="EDIT")
    place_bones(rig.data, joints, parents)
    bpy.ops.object.mode_set(mode="OBJECT")


def read_pose(rig: bpy.types.Object) -> tuple[np.ndarray, np.ndarray]:
    """The rig's pose as FLAME's: axis-angle (5, 3) relative to the parent joint, and translation (3,) in head space.

    Drivers, constraints and NLA count where `rig` is an evaluated object. What FLAME can't express (a bone's scale,
    a location on any bone but "global") is left out.
    """
    bones = _bones(rig)
    # All joints at once: this is read at every change that the live preview follows.
    posed, rest = (
        _rotation(np.array(each)) for each in zip(*[(b.matrix, b.bone.matrix_local) for b in bones], strict=True)
    )
    turned = posed @ rest.transpose(0, 2, 1)
    relative = turned.copy()
    for joint, bone in enumerate(bones):
        if bone.parent is not None and bone.parent.name in JOINTS:
            relative[joint] = turned[JOINTS.index(bone.parent.name)].T @ turned[joint]
    pose = matrix_to_axis_angle(HEAD_TO_BLENDER.T @ relative @ HEAD_TO_BLENDER)
    root = bones[0]
    moved = np.array(root.matrix.translation) - np.array(root.bone.matrix_local.translation)
    return pose.astype(np.float32), blender_to_head(moved).astype(np.float32)


def write_pose(rig: bpy.types.Object, pose: np.ndarray, translation: np.ndarray) -> None:
    """Set the bones from axis-angle (5, 3) and a translation (3,); the reverse of `read_pose` where nothing drives."""
    for bone, rotation in zip(_bones(rig), np.asarray(pose, float), strict=True):
        moved = np.asarray(translation, float) if bone.name == JOINTS[0] else np.zeros(3)
        bone.matrix_basis = Matrix(bone_matrices(bone, rotation[None], moved[None])[0].tolist())


def bone_matrices(
    bone: bpy.types.PoseBone, rotations: np.ndarray, translations: np.ndarray | None = None
) -> np.ndarray:
    """A bone's `matrix_basis` (N, 4, 4) for axis-angle (N, 3) and translations (N, 3), both in head space."""
    rest = _rotation(bone.bone.matrix_local)
    basis = np.tile(np.eye(4), (len(rotations), 1, 1))
    turned = HEAD_TO_BLENDER @ axis_angle_to_matrix(rotations) @ HEAD_TO_BLENDER.T
    basis[:, :3, :3] = rest.T @ turned @ rest
    if translations is not None:
        basis[:, :3, 3] = head_to_blender(translations) @ rest
    return basis


def _bones(rig: bpy.types.Object) -> list[bpy.types.PoseBone]:
    missing = [name for name in JOINTS if name not in rig.pose.bones]
    if missing:
        said = rpt_("The head '{head}' lacks the bones {bones}: undo, or add the head anew")
        raise ValueError(said.format(head=rig.name, bones=", ".join(missing)))
    return [rig.pose.bones[name] for name in JOINTS]


def _rotation(matrices: Matrix | np.ndarray) -> np.ndarray:
    """(..., 3, 3) float64, the nearest rotations to bones' matrices (..., 4, 4)."""
    u, _, vt = np.linalg.svd(np.array(matrices, float)[..., :3, :3])
    return u @ vt
