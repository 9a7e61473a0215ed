"""What an animator takes hold of on the armature: limits, shapes for bones, a gaze target."""

from __future__ import annotations

import bpy
import numpy as np
from mathutils import Vector

GAZE = "gaze"
"""The bone that the eyes look at, as far as the head's `gaze` says."""
GAZE_DISTANCE, GAZE_SIZE = 0.5, 0.03
LIMITS_NAME, GAZE_NAME = "Limits", "Gaze"
LIMITS = {
    "neck": ((-45, 45), (-80, 80), (-40, 40)),
    "jaw": ((-30, 12), (-8, 8), (-15, 15)),
    "eye_left": ((-30, 30), (-8, 8), (-40, 40)),
    "eye_right": ((-30, 30), (-8, 8), (-40, 40)),
}
"""Degrees about each bone's own x, y and z: what a person can do, with some room."""
_CIRCLE = 32


def equip(rig: bpy.types.Object) -> None:
    """Give a new head's armature its limits, shapes and gaze target; it is in object mode."""
    for name, ranges in LIMITS.items():
        limit = rig.pose.bones[name].constraints.new("LIMIT_ROTATION")
        limit.name = LIMITS_NAME
        limit.owner_space = "LOCAL"
        limit.use_transform_limit = True
        for axis, (low, high) in zip("xyz", ranges, strict=True):
            setattr(limit, f"use_limit_{axis}", True)
            setattr(limit, f"min_{axis}", np.radians(low))
            setattr(limit, f"max_{axis}", np.radians(high))
    for name in ("eye_left", "eye_right"):
        _follow_gaze(rig, rig.pose.bones[name])
    for name, (shape, scale, offset) in _SHAPES.items():
        bone = rig.pose.bones[name]
        bone.custom_shape = _shape(shape)
        bone.custom_shape_scale_xyz = (scale, scale, scale)
        bone.custom_shape_translation = offset
        bone.use_custom_shape_bone_size = False


def place_gaze(armature: bpy.types.Armature) -> None:
    """Give an armature in edit mode the gaze target, before its eyes, or move it there."""
    bones = armature.edit_bones
    middle = (bones["eye_left"].head + bones["eye_right"].head) / 2
    gaze = bones.get(GAZE) or bones.new(GAZE)
    gaze.head = middle + Vector((0, -GAZE_DISTANCE, 0))
    gaze.tail = gaze.head + Vector((0, -GAZE_SIZE, 0))
    gaze.use_deform = False


def _follow_gaze(rig: bpy.types.Object, eye: bpy.types.PoseBone) -> None:
    track = eye.constraints.new("DAMPED_TRACK")
    track.name = GAZE_NAME
    track.target, track.subtarget, track.track_axis = rig, GAZE, "TRACK_Y"
    # What the eyes can't do, they don't do for the target's sake either.
    eye.constraints.move(len(eye.constraints) - 1, 0)
    driver = track.driver_add("influence").driver
    driver.type = "AVERAGE"
    variable = driver.variables.new()
    variable.targets[0].id = rig
    variable.targets[0].data_path = "turboportrait.gaze"


def use_limits(rig: bpy.types.Object, on: bool) -> None:
    """Hold the bones to what a person can do, or let them go."""
    for bone in rig.pose.bones:
        for constraint in bone.constraints:
            if constraint.name == LIMITS_NAME:
                constraint.mute = not on


# Shapes

_SHAPES = {
    "global": ("square", 0.22, (0, -0.12, 0)),
    "neck": ("circle", 0.13, (0, 0.16, 0)),
    "jaw": ("circle", 0.025, (0, 0.1, 0)),
    "eye_left": ("circle", 0.016, (0, 0.05, 0)),
    "eye_right": ("circle", 0.016, (0, 0.05, 0)),
    GAZE: ("cross", 0.03, (0, 0, 0)),
}
"""Bone: shape, size in metres, its place along the bone. The shapes lie in the bone's x-z plane."""


def _shape(kind: str) -> bpy.types.Object:
    """A wire that stands for a bone, one for the whole file; in no scene."""
    name = f"TP3D {kind}"
    shape = bpy.data.objects.get(name)
    if shape is None:
        corners = {"circle": _CIRCLE, "square": 4}.get(kind)
        if corners:
            turns = 2 * np.pi * (np.arange(corners) + 0.5) / corners
            points = [(float(np.cos(turn)), 0.0, float(np.sin(turn))) for turn in turns]
            edges = [(i, (i + 1) % corners) for i in range(corners)]
        else:
            points = [(-1, 0, 0), (1, 0, 0), (0, 0, -1), (0, 0, 1), (0, -1, 0), (0, 1, 0)]
            edges = [(0, 1), (2, 3), (4, 5)]
        mesh = bpy.data.meshes.new(name)
        mesh.from_pydata(points, edges, [])
        shape = bpy.data.objects.new(name, mesh)
    return shape
