"""A head's parameters for the wire, read from the evaluated scene, and written back to its bones and shape keys."""

from __future__ import annotations

import bpy
import numpy as np

from backend.protocol.head_parameters import HeadParameters

from . import rig
from .head import mesh_of, require_mesh


def head_parameters(head: bpy.types.Object, depsgraph: bpy.types.Depsgraph) -> HeadParameters:
    """What the dependency graph makes of a head at its frame: drivers, constraints, actions and NLA are in it.

    Args:
        head: the head object (its armature), evaluated or not.

    Raises:
        ValueError: bones or the mesh are missing.
    """
    pose, translation = rig.read_pose(head.original.evaluated_get(depsgraph))
    return HeadParameters.from_arrays(pose, _expression(head.original, depsgraph), translation)


def apply_parameters(head: bpy.types.Object, parameters: HeadParameters) -> None:
    """Set bones and shape keys; a value outside a shape key's slider is clamped by Blender."""
    rig.write_pose(head, parameters.joint_rotations, np.array(parameters.translation))
    mesh_object = mesh_of(head)
    if mesh_object is not None:
        names = mesh_object.data.turboportrait.expression_names.split("\n")
        for name, value in zip(names, parameters.expression, strict=False):
            mesh_object.data.shape_keys.key_blocks[name].value = value


def _expression(head: bpy.types.Object, depsgraph: bpy.types.Depsgraph) -> np.ndarray:
    """(E,) float32 in the order of the head model's basis; a key that was muted or removed counts as zero."""
    mesh_object = require_mesh(head)
    names = mesh_object.data.turboportrait.expression_names.split("\n")
    if mesh_object.data.shape_keys is None:
        return np.zeros(len(names), np.float32)
    keys = mesh_object.data.shape_keys.evaluated_get(depsgraph).key_blocks
    values = {key.name: key.value for key in keys if not key.mute}
    return np.array([values.get(name, 0.0) for name in names], np.float32)
