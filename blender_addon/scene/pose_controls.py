"""All controls of a head together: rest and portrait poses, keyframes."""

from __future__ import annotations

import json

import bpy

from backend.protocol.head_parameters import JOINTS, HeadParameters

from .head import mesh_of
from .parameters import apply_parameters
from .rig_controls import GAZE


def remember_portrait(head: bpy.types.Object, parameters: HeadParameters) -> None:
    """Keep the pose and expression of the portrait with the head."""
    kept = {"pose": parameters.pose, "expression": parameters.expression, "translation": parameters.translation}
    head.turboportrait.portrait_parameters = json.dumps(kept)


def portrait_parameters(head: bpy.types.Object) -> HeadParameters | None:
    """The pose and expression of the portrait; None without one."""
    kept = head.turboportrait.portrait_parameters
    if not kept:
        return None
    return HeadParameters(**{name: tuple(map(float, values)) for name, values in json.loads(kept).items()})


def pose_head(context: bpy.types.Context, head: bpy.types.Object, parameters: HeadParameters) -> None:
    """Set all controls, and keyframe them where auto keying is on. Every expression not named returns to zero."""
    keys = expression_keys(head)
    for key in keys:
        key.value = 0.0
    apply_parameters(head, parameters)
    if context.scene.tool_settings.use_keyframe_insert_auto:
        keyframe(head, context.scene.frame_current)


# Keyframes


def expression_keys(head: bpy.types.Object) -> list[bpy.types.ShapeKey]:
    """The shape keys of the head's expressions."""
    mesh_object = mesh_of(head)
    keys = mesh_object.data.shape_keys if mesh_object else None
    return list(keys.key_blocks[1:]) if keys else []


def keyed_paths(head: bpy.types.Object) -> list[tuple[bpy.types.ID, str]]:
    """Every control of a head: the data-block that holds it and its path there."""
    paths: list[tuple[bpy.types.ID, str]] = []
    for name in (*JOINTS, GAZE):
        bone = head.pose.bones.get(name)
        if bone is None:
            continue
        rotation = {"QUATERNION": "rotation_quaternion", "AXIS_ANGLE": "rotation_axis_angle"}
        if name in (JOINTS[0], GAZE):
            paths.append((head, bone.path_from_id("location")))
        if name != GAZE:
            paths.append((head, bone.path_from_id(rotation.get(bone.rotation_mode, "rotation_euler"))))
    paths.append((head, "turboportrait.gaze"))
    paths += [(key.id_data, key.path_from_id("value")) for key in expression_keys(head)]
    return paths


def keyframe(head: bpy.types.Object, frame: float) -> int:
    """Keyframe every control at a frame; how many there were."""
    paths = keyed_paths(head)
    for block, path in paths:
        block.keyframe_insert(path, frame=frame)
    return len(paths)
