"""A head in the scene: an armature with a skinned mesh below it, from a head model file or an avatar's own mesh.

Nothing of it is hidden: a mesh, shape keys, vertex groups, an armature, a material. So keyframes, drivers, NLA, undo,
copy, append and face-capture add-ons that write ARKit shape keys work as on any character.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

import bpy
import numpy as np
from bpy.app.translations import pgettext_rpt as rpt_
from idprop.types import IDPropertyArray
from mathutils import Matrix

from backend.protocol.arkit import ACTIONS
from backend.protocol.head_parameters import JOINTS
from backend.protocol.limits import MAX_EXPRESSION_COEFFICIENT
from backend.protocol.rigged_mesh import RiggedMesh
from flame import HeadModel

from . import animation_transfer, material, rig
from .camera import head_to_blender

COMPONENT = re.compile(r"expression_\d+")
"""The name of an expression component without a meaning of its own: its coefficient is in standard deviations."""
COMPONENT_RANGE = 5.0
ACTIONS_KEY = "turboportrait_actions"
"""A custom property of the mesh of a head without ARKit's names: what each action is on it, see `RiggedMesh`."""


@dataclass(frozen=True)
class _Geometry:
    """What a head model and an avatar's mesh have in common, in head space (see `RiggedMesh` for the shapes)."""

    vertices: np.ndarray
    faces: np.ndarray
    expression_vertices: np.ndarray
    expression_offsets: np.ndarray
    expression_names: tuple[str, ...]
    joints: np.ndarray
    parents: np.ndarray
    skin_weights: np.ndarray
    corner_uv: np.ndarray | None

    @classmethod
    def of(cls, source: HeadModel | RiggedMesh) -> _Geometry:
        if isinstance(source, RiggedMesh):
            return cls(
                source.vertices,
                source.faces,
                source.expression_vertices,
                source.expression_offsets,
                tuple(source.expression_names),
                source.joints,
                source.parents,
                source.skin_weights,
                source.uv[source.uv_faces],
            )
        offsets = np.moveaxis(source.expressiondirs, 2, 0)
        moved = np.flatnonzero(np.any(offsets, axis=(0, 2)))
        return cls(
            source.v_template,
            source.faces,
            moved,
            offsets[:, moved],
            tuple(source.expression_names),
            source.rest_joints(source.v_template),
            source.parents,
            source.lbs_weights,
            None if source.vt is None else source.vt[source.ft],
        )


def add_head(context: bpy.types.Context, source: HeadModel | RiggedMesh, name: str) -> bpy.types.Object:
    """Add a head to the scene and return its armature object, the head object.

    Pose correctives (`posedirs`) have no counterpart in Blender's skinning and are left out of the preview mesh.
    """
    geometry = _Geometry.of(source)
    head = rig.build_armature(context, name, geometry.joints, geometry.parents)
    head.turboportrait.is_head = True
    mesh_object = bpy.data.objects.new(f"{name} mesh", bpy.data.meshes.new(f"{name} mesh"))
    context.collection.objects.link(mesh_object)
    mesh_object.parent = head
    # Head space is the armature's: a mesh moved by itself would part from its bones.
    mesh_object.lock_location = mesh_object.lock_rotation = mesh_object.lock_scale = (True, True, True)
    modifier = mesh_object.modifiers.new("Armature", "ARMATURE")
    modifier.object = head
    _fill(mesh_object, geometry, source)
    head.scale = (units_per_metre(context.scene),) * 3
    # What is placed beside the head needs its world matrix.
    context.view_layer.update()
    return head


def units_per_metre(scene: bpy.types.Scene) -> float:
    """Blender units in a metre, as the scene's unit scale has them."""
    units = scene.unit_settings
    return 1.0 if units.system == "NONE" else 1.0 / units.scale_length


def replace_head(context: bpy.types.Context, head: bpy.types.Object, source: HeadModel | RiggedMesh) -> None:
    """Give a head another mesh; its place, pose, expression, keyframes and drivers stay."""
    geometry = _Geometry.of(source)
    mesh_object = require_mesh(head)
    rig.move_bones(context, head, geometry.joints, geometry.parents)
    old = mesh_object.data
    mesh_object.data = bpy.data.meshes.new(mesh_object.name)
    mesh_object.vertex_groups.clear()
    _fill(mesh_object, geometry, source)
    mesh_object.data.turboportrait.look = old.turboportrait.look
    if old.shape_keys:
        animation_transfer.move_shape_keys(old.shape_keys, mesh_object.data.shape_keys)
    if not old.users:
        bpy.data.meshes.remove(old)


def head_of(thing: bpy.types.Object | None) -> bpy.types.Object | None:
    """The head object that an object is or belongs to, or None."""
    while thing is not None and not thing.turboportrait.is_head:
        thing = thing.parent
    return thing


_mesh_names: dict[int, str] = {}
"""By a head's session_uid the name of the mesh object found last: a hint, for Blender finds children only by going
through all objects, and the live preview asks at every change."""


def mesh_of(head: bpy.types.Object) -> bpy.types.Object | None:
    """The head's mesh object, or None if the user has deleted it."""
    known = bpy.data.objects.get(_mesh_names.get(head.session_uid, ""))
    if known is not None and known.parent == head and _is_heads_mesh(known):
        return known
    found = next(filter(_is_heads_mesh, head.children), None)
    if found is not None:
        _mesh_names[head.session_uid] = found.name
    return found


def _is_heads_mesh(thing: bpy.types.Object) -> bool:
    return thing.type == "MESH" and bool(thing.data.turboportrait.expression_names)


def own_actions(head: bpy.types.Object) -> np.ndarray | None:
    """What ARKit's actions are on a head without their names, see `RiggedMesh`; None where that is not known."""
    mesh_object = mesh_of(head)
    if mesh_object is None:
        return None
    kept = mesh_object.data.get(ACTIONS_KEY)
    if not isinstance(kept, IDPropertyArray):
        return None
    columns = len(mesh_object.data.turboportrait.expression_names.split("\n")) + 3
    values = np.array(kept, float)
    if values.size != len(ACTIONS) * columns or not (np.abs(values) <= MAX_EXPRESSION_COEFFICIENT).all():
        return None
    return values.reshape(len(ACTIONS), columns)


def require_mesh(head: bpy.types.Object) -> bpy.types.Object:
    """`mesh_of`; raises ValueError, with a sentence for the user, where there is none."""
    mesh_object = mesh_of(head)
    if mesh_object is None:
        template = rpt_("The head '{head}' has lost its mesh: undo, or add the head anew")
        raise ValueError(template.format(head=head.name))
    return mesh_object


@dataclass(frozen=True)
class VisibleHead:
    """A head that is seen, once for each instance of it.

    Attributes:
        head: its armature object, not evaluated.
        name: the head's own, with its instancer's where it is an instance's.
        matrix: (4, 4) its world matrix.
    """

    head: bpy.types.Object
    name: str
    matrix: Matrix


def visible_heads(depsgraph: bpy.types.Depsgraph) -> Iterator[VisibleHead]:
    """The heads whose mesh this dependency graph shows, instances of collections too.

    Hiding only the armature hides no head. Quick in a scene of thousands of objects: armatures are few, what is shown
    is looked up by name, and instances are gone through only where something makes some.
    """
    heads, instancers = [], False
    for thing in bpy.data.objects:
        instancers = instancers or thing.instance_type != "NONE"
        if thing.type == "ARMATURE" and thing.turboportrait.is_head:
            heads.append(thing)
    for head in heads:
        mesh_object = mesh_of(head)
        if mesh_object is not None and is_shown(mesh_object, depsgraph):
            yield VisibleHead(head, head.name, head.evaluated_get(depsgraph).matrix_world.copy())
    if heads and instancers:
        yield from _instanced_heads(depsgraph)


def _instanced_heads(depsgraph: bpy.types.Depsgraph) -> Iterator[VisibleHead]:
    for instance in depsgraph.object_instances:
        if not instance.is_instance or not instance.show_self or not _is_heads_mesh(instance.object):
            continue
        mesh_object = instance.instance_object.original
        head = mesh_object.parent
        if head is not None and head.turboportrait.is_head and mesh_of(head) == mesh_object:
            moved = instance.matrix_world @ instance.instance_object.matrix_world.inverted_safe()
            matrix = moved @ head.evaluated_get(depsgraph).matrix_world
            yield VisibleHead(head, f"{head.name} ({instance.parent.name})", matrix)


def is_shown(thing: bpy.types.Object, depsgraph: bpy.types.Depsgraph) -> bool:
    """This dependency graph shows an object."""
    found = depsgraph.objects.get(thing.name)
    if found is None or found.original == thing:
        return found is not None
    # An object of a library may have the same name.
    return any(other.original == thing for other in depsgraph.objects)


def _fill(mesh_object: bpy.types.Object, geometry: _Geometry, source: HeadModel | RiggedMesh) -> None:
    """Put geometry, shape keys, skinning and material into a mesh object whose mesh is empty."""
    mesh = mesh_object.data
    faces = np.ascontiguousarray(geometry.faces, np.int32)
    rest = np.ascontiguousarray(head_to_blender(geometry.vertices), np.float32)
    mesh.vertices.add(len(rest))
    mesh.vertices.foreach_set("co", rest.ravel())
    mesh.loops.add(faces.size)
    mesh.loops.foreach_set("vertex_index", faces.ravel())
    mesh.polygons.add(len(faces))
    mesh.polygons.foreach_set("loop_start", np.arange(0, faces.size, 3, dtype=np.int32))
    mesh.update(calc_edges=True)
    mesh.shade_smooth()
    if geometry.corner_uv is not None:
        add_uv(mesh, "UVMap", geometry.corner_uv)
    if isinstance(source, RiggedMesh):
        material.dress(mesh, source)
        if source.actions is not None:
            mesh[ACTIONS_KEY] = source.actions.ravel().tolist()
    else:
        mesh.materials.append(material.plain_skin())
    mesh.turboportrait.expression_names = "\n".join(geometry.expression_names)
    mesh.turboportrait.rest_sha256 = hashlib.sha256(rest.data).hexdigest()
    _add_shape_keys(mesh_object, rest, geometry)
    _add_weights(mesh_object, geometry.skin_weights)


def add_uv(mesh: bpy.types.Mesh, name: str, corner_uv: np.ndarray) -> None:
    """Add a UV layer from texture coordinates per corner (F, 3, 2)."""
    layer = mesh.uv_layers.new(name=name, do_init=False)
    layer.uv.foreach_set("vector", np.ascontiguousarray(corner_uv, np.float32).ravel())


def _add_shape_keys(mesh_object: bpy.types.Object, rest: np.ndarray, geometry: _Geometry) -> None:
    mesh_object.shape_key_add(name="Basis", from_mix=False)
    for name, offsets in zip(geometry.expression_names, geometry.expression_offsets, strict=True):
        moved = rest.copy()
        moved[geometry.expression_vertices] += head_to_blender(offsets)
        key = mesh_object.shape_key_add(name=name, from_mix=False)
        if COMPONENT.fullmatch(name):
            key.slider_min, key.slider_max = -COMPONENT_RANGE, COMPONENT_RANGE
        key.value = 0.0
        key.data.foreach_set("co", moved.ravel())


def _add_weights(mesh_object: bpy.types.Object, skin_weights: np.ndarray) -> None:
    for joint, name in enumerate(JOINTS):
        group = mesh_object.vertex_groups.new(name=name)
        column = skin_weights[:, joint]
        # Blender takes one weight for many vertices: equal weights go together, and most are exactly one.
        order = np.argsort(column, kind="stable")
        values, starts = np.unique(column[order], return_index=True)
        for value, indices in zip(values, np.split(order, starts[1:]), strict=True):
            if value > 0:
                group.add(indices.tolist(), float(value), "REPLACE")
