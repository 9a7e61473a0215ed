"""A performance as keyframes: on the bones and shape keys that the head has, at the scene's rate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

import bpy
import numpy as np
from bpy.app.translations import pgettext_rpt as rpt_
from mathutils import Matrix

from backend.protocol.head_parameters import HeadParameters
from backend.protocol.performance import Performance
from backend.protocol.retargeting import conformed, parameters_of, retargeted

from ..connection.tasks import Task, TaskProgress
from ..scene.head import own_actions, require_mesh
from ..scene.pose_controls import expression_keys, portrait_parameters
from ..scene.rig import bone_matrices
from .actions import ActionMaker, add_curve
from .curves import needed_keys, slopes

BONES = {"neck": 1, "eye_left": 3, "eye_right": 4}
"""Those that a performance turns, and their joint."""
CURVES_AT_ONCE = 6


@dataclass(frozen=True)
class Keying:
    """How a performance is put onto a head.

    Attributes:
        start: the scene's frame of its first one.
        gains: see `retargeted`.
        from_portrait: on top of what the portrait shows; otherwise of a head at rest.
        travels: the neck moves, too, as the person did before the camera.
        tolerance: by how much curves may leave the performance: of actions 1 is a whole one, of bones a radian.
    """

    start: int = 1
    gains: Mapping[str, float] = field(default_factory=dict)
    from_portrait: bool = True
    travels: bool = False
    tolerance: float = 0.004


@dataclass(frozen=True, eq=False)
class _Curve:
    """Keys of one property of the armature object, or of the mesh's shape keys."""

    of_shape_keys: bool
    path: str
    index: int
    rows: np.ndarray
    values: np.ndarray
    slopes: np.ndarray
    group: str


def put_onto(head_name: str, performance: Performance, keying: Keying) -> Task:
    """A task that computes the keys bit by bit; its result sets them all when it is called, and says what was done.

    Raises:
        ValueError: the head is gone or has lost its mesh, or has no action of the performance's.
    """
    scene = bpy.context.scene
    rate = Fraction(scene.render.fps) / Fraction(scene.render.fps_base).limit_denominator(1001)
    yield "Setting keyframes"
    performance = conformed(retargeted(performance, keying.gains), rate)
    head = head_named(head_name)
    base = portrait_parameters(head) if keying.from_portrait else None
    poses = poses_of(head, performance, base or HeadParameters(), keying.travels)
    yield "Setting keyframes"
    jobs = list(_channels(head, poses, keying))
    curves = []
    for number, (of_shape_keys, path, values, tolerance, group) in enumerate(jobs):
        rows, slope = needed_keys(values, tolerance), slopes(values)
        curves += [
            _Curve(of_shape_keys, path, k, rows, values[rows, k], slope[rows, k], group) for k in range(values.shape[1])
        ]
        if number % CURVES_AT_ONCE == 0:
            yield TaskProgress("Setting keyframes", fraction=number / len(jobs))
    keys = sum(len(curve.rows) for curve in curves)
    said = rpt_("{frames} frames became {keys} keys of {curves} curves")
    said = said.format(frames=len(performance), keys=keys, curves=len(curves))

    def set_keys() -> str:
        _set(head_named(head_name), curves, keying.start, performance.header.source or "Performance")
        return said

    return set_keys


def poses_of(
    head: bpy.types.Object, performance: Performance, base: HeadParameters, travels: bool
) -> list[HeadParameters]:
    """What a head does in each frame of a performance that is relative to rest; `base` is what it does at rest.

    Raises:
        ValueError: it has no action of the performance's, and none that are known to come near.
    """
    names = expression_names(head)
    has_any = bool(set(names) & set(performance.header.actions))
    actions = None if has_any else own_actions(head)
    if not has_any and actions is None:
        said = rpt_("The head '{head}' has none of ARKit's shape keys: register a portrait with its head model")
        raise ValueError(said.format(head=head.name))
    return parameters_of(performance, names, base, not travels, actions)


def expression_names(head: bpy.types.Object) -> list[str]:
    """The head model's expressions in its own order."""
    return require_mesh(head).data.turboportrait.expression_names.split("\n")


def head_named(name: str) -> bpy.types.Object:
    """A head with its mesh.

    Raises:
        ValueError: it is gone, or has lost its mesh.
    """
    head = bpy.data.objects.get(name)
    if head is None or not head.turboportrait.is_head:
        raise ValueError(rpt_("The head '{head}' is gone").format(head=name))
    require_mesh(head)
    return head


def _channels(head: bpy.types.Object, poses: list[HeadParameters], keying: Keying):
    """Per property: of the shape keys?, path, values (N, C), tolerance, group."""
    rotations = np.array([pose.pose for pose in poses]).reshape(len(poses), -1, 3)
    moved = np.array([pose.translation for pose in poses])
    # Elsewhere a shape key opens the mouth.
    jaw = {"jaw": 2} if own_actions(head) is not None else {}
    for name, joint in (BONES | jaw).items():
        bone = head.pose.bones[name]
        path, values = _rotations(bone, bone_matrices(bone, rotations[:, joint]))
        yield False, bone.path_from_id(path), values, keying.tolerance, name
    if keying.travels:
        bone = head.pose.bones["global"]
        places = bone_matrices(bone, np.zeros_like(moved), moved)[:, :3, 3]
        yield False, bone.path_from_id("location"), places, keying.tolerance / 10, "global"
    expression = np.array([pose.expression for pose in poses])
    column = {name: k for k, name in enumerate(expression_names(head))}
    for key in expression_keys(head):
        if key.name in column:
            yield True, key.path_from_id("value"), expression[:, [column[key.name]]], keying.tolerance, ""


def _rotations(bone: bpy.types.PoseBone, matrices: np.ndarray) -> tuple[str, np.ndarray]:
    """The property that turns a bone, by its rotation mode, and its values (N, 3 or 4), without jumps by a turn."""
    if bone.rotation_mode == "QUATERNION":
        values = np.array([Matrix(matrix.tolist()).to_quaternion() for matrix in matrices])
        same = np.sign((values[1:] * values[:-1]).sum(1))
        values[1:] *= np.cumprod(np.where(same == 0, 1, same))[:, None]
        return "rotation_quaternion", values
    if bone.rotation_mode == "AXIS_ANGLE":
        pairs = [Matrix(matrix.tolist()).to_quaternion().to_axis_angle() for matrix in matrices]
        return "rotation_axis_angle", np.array([(angle, *axis) for axis, angle in pairs])
    angles, before = [], None
    for matrix in matrices:
        turn = Matrix(matrix.tolist()).to_3x3()
        before = turn.to_euler(bone.rotation_mode, before) if before else turn.to_euler(bone.rotation_mode)
        angles.append(tuple(before))
    return "rotation_euler", np.array(angles)


def _set(head: bpy.types.Object, curves: list[_Curve], start: int, name: str) -> None:
    shape_keys = require_mesh(head).data.shape_keys
    maker = ActionMaker(name)
    for of_shape_keys, block in ((False, head), (True, shape_keys)):
        mine = [curve for curve in curves if curve.of_shape_keys == of_shape_keys]
        if mine:
            made = maker.curves(block)
            for curve in mine:
                add_curve(made, curve.path, curve.index, start + curve.rows, curve.values, curve.slopes, curve.group)
    maker.assign()
