"""What of a scene the backend's views leave out, in sentences for the user."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import bpy
import numpy as np
from bpy.app.translations import pgettext_rpt as rpt_
from mathutils import Vector

from backend.protocol.head_parameters import JOINTS

from .head import mesh_of, visible_heads

HEAD_METRES = 0.25
"""From the neck's end to the farthest point of a head with its hair and shoulders, roughly."""
TOLERANCE = 1e-3


def unsupported_in_scene(depsgraph: bpy.types.Depsgraph, camera: bpy.types.Object | None) -> list[str]:
    """What a render through a camera leaves out; each sentence once."""
    said: dict[str, None] = {}
    for seen in visible_heads(depsgraph):
        if seen.head.turboportrait.avatar_id:
            said.update(dict.fromkeys(unsupported_in_head(seen.head, depsgraph)))
            said.update(dict.fromkeys(_holdouts(seen.head, depsgraph.view_layer)))
    if camera is not None and camera.type == "CAMERA":
        said.update(dict.fromkeys(unsupported_in_camera(camera, depsgraph)))
    return list(said)


def unsupported_in_head(head: bpy.types.Object, depsgraph: bpy.types.Depsgraph) -> Iterator[str]:
    """What the preview mesh in Blender shows of a head, and the backend's views do not."""
    mesh_object = mesh_of(head)
    if mesh_object is None:
        return
    kept = mesh_object.data.turboportrait
    names = kept.expression_names.split("\n")
    keys = mesh_object.data.shape_keys
    blocks = list(keys.key_blocks) if keys else []
    own = [key.name for key in blocks[1:] if key.name not in names and not key.mute]
    if own:
        yield _say("The backend ignores shape keys that are not the head model's: {names}", head, own)
    missing = [name for name in names if name not in {key.name for key in blocks}]
    if missing:
        yield _say("Expressions that were renamed or removed count as zero: {names}", head, missing)
    if blocks and kept.rest_sha256 and kept.rest_sha256 != rest_sha256(mesh_object.data):
        yield _say("The backend ignores what was sculpted into the mesh", head)
    modifiers = [m.name for m in mesh_object.modifiers if m.show_render and getattr(m, "object", None) != head]
    if modifiers:
        yield _say("The backend ignores modifiers: {names}", head, modifiers)
    yield from _unsupported_in_bones(head, depsgraph)


def _unsupported_in_bones(head: bpy.types.Object, depsgraph: bpy.types.Depsgraph) -> Iterator[str]:
    scaled, moved = [], []
    bones = head.evaluated_get(depsgraph).pose.bones
    for bone in (bones[name] for name in JOINTS if name in bones):
        if any(abs(size - 1) > TOLERANCE for size in bone.matrix.to_scale()):
            scaled.append(bone.name)
        elif bone.parent is not None:
            place = bone.parent.matrix @ bone.parent.bone.matrix_local.inverted() @ bone.bone.head_local
            if (bone.head - place).length > TOLERANCE:
                moved.append(bone.name)
    if scaled:
        yield _say("The backend ignores that bones are scaled or stretched: {names}", head, scaled)
    if moved:
        yield _say("The backend ignores that bones are moved: {names}", head, moved)


def unsupported_in_camera(camera: bpy.types.Object, depsgraph: bpy.types.Depsgraph) -> Iterator[str]:
    """What Blender's own engines show through a camera, and the backend's views do not."""
    evaluated = camera.evaluated_get(depsgraph)
    lens = evaluated.data
    if lens.dof.use_dof:
        yield _say("The backend ignores depth of field", camera)
    to_camera = evaluated.matrix_world.normalized().inverted_safe()
    for seen in visible_heads(depsgraph):
        bones = seen.head.data.bones
        if not seen.head.turboportrait.avatar_id or "neck" not in bones:
            continue
        depth = -(to_camera @ seen.matrix @ Vector(bones["neck"].tail_local)).z
        reach = HEAD_METRES * seen.matrix.median_scale
        if depth > 0 and (depth - reach < lens.clip_start or depth + reach > lens.clip_end):
            yield _say("The backend ignores the clip range, which would cut {names}", camera, [seen.name])


def rest_sha256(mesh: bpy.types.Mesh) -> str:
    """The hash of a head mesh's basis, by which a sculpted one is told."""
    basis = mesh.shape_keys.key_blocks[0]
    places = np.empty(3 * len(basis.data), np.float32)
    basis.data.foreach_get("co", places)
    return hashlib.sha256(places.data).hexdigest()


def _holdouts(head: bpy.types.Object, layer: bpy.types.ViewLayer) -> Iterator[str]:
    mesh_object = mesh_of(head)
    if mesh_object is None:
        return
    if mesh_object.is_holdout or any(
        collection.holdout and mesh_object.name in collection.collection.all_objects
        for collection in _collections(layer.layer_collection)
    ):
        yield _say("The backend ignores that this is a holdout", head)


def _collections(root: bpy.types.LayerCollection) -> Iterator[bpy.types.LayerCollection]:
    yield root
    for child in root.children:
        yield from _collections(child)


def _say(sentence: str, thing: bpy.types.Object, names: list[str] | None = None) -> str:
    listed = ", ".join((names or [])[:5]) + (" …" if len(names or []) > 5 else "")
    return f"{thing.name}: {rpt_(sentence).format(names=listed)}"
