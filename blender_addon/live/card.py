"""A card before a camera that shows the camera's image: the refined head in any scene and any engine."""

from __future__ import annotations

import bpy
from mathutils import Vector

from ..scene.camera_image import image_of_camera

CARD_KEY = "turboportrait_card"
"""A custom property of the card's object: nothing but its name says that an object is a card."""

HEAD_METRES = 0.2
"""From the middle of the head to what of it comes nearest to the camera: nose, hair, a shoulder."""
NEAREST = 0.01


def add_card(context: bpy.types.Context, camera: bpy.types.Object) -> bpy.types.Object:
    """Add the card of a camera, or return the one that it has."""
    card = card_of(camera)
    if card is None:
        name = f"{camera.name} card"
        mesh = bpy.data.meshes.new(name)
        mesh.from_pydata([(0, 0, -1)] * 4, [], [(0, 1, 2, 3)])
        mesh.uv_layers.new(name="UVMap").uv.foreach_set("vector", [1, 1, 1, 0, 0, 0, 0, 1])
        mesh.materials.append(card_material(name, image_of_camera(camera)))
        card = bpy.data.objects.new(name, mesh)
        card[CARD_KEY] = True
        context.collection.objects.link(card)
        card.parent = camera
        card.lock_location = card.lock_rotation = card.lock_scale = (True, True, True)
        card.hide_select = True
    follow(camera)
    return card


def card_of(camera: bpy.types.Object) -> bpy.types.Object | None:
    """The camera's card, if it has one."""
    return next((child for child in camera.children if CARD_KEY in child), None)


def follow(camera: bpy.types.Object, depsgraph: bpy.types.Depsgraph | None = None) -> None:
    """Fit a camera's card into its frame, just before the nearest head; nothing without a card.

    `depsgraph` is a render's, which has its own frame; by default the scene is as the window shows it.
    """
    card = card_of(camera)
    scene = depsgraph.scene if depsgraph else bpy.context.scene
    if card is None or len(card.data.vertices) != 4:
        return
    seeing = camera.evaluated_get(depsgraph) if depsgraph else camera
    distance = _distance(seeing, scene, depsgraph)
    corners = seeing.data.view_frame(scene=scene)
    flat = [value for corner in corners for value in corner * (distance / -corner.z)]
    current = [0.0] * 12
    card.data.vertices.foreach_get("co", current)
    if any(abs(a - b) > 1e-5 for a, b in zip(flat, current, strict=True)):
        card.data.vertices.foreach_set("co", flat)
        card.data.update()


def _distance(camera: bpy.types.Object, scene: bpy.types.Scene, depsgraph: bpy.types.Depsgraph | None) -> float:
    """Along the camera's axis to just before the nearest head, so that the card hides its mesh; 1 without one."""
    to_camera = camera.matrix_world.normalized().inverted()
    ahead = []
    for thing in scene.objects:
        if thing.turboportrait.avatar_id and thing.type == "ARMATURE" and "neck" in thing.data.bones:
            place = (thing.original.evaluated_get(depsgraph) if depsgraph else thing).matrix_world
            middle = to_camera @ place @ Vector(thing.data.bones["neck"].tail_local)
            ahead.append(-middle.z - HEAD_METRES * place.median_scale)
    return min((distance for distance in ahead if distance > NEAREST), default=1.0)


def card_material(name: str, image: bpy.types.Image) -> bpy.types.Material:
    """The image, emitted, transparent where it is."""
    material = bpy.data.materials.new(name)
    if bpy.app.version < (5, 0):
        material.use_nodes = True
    material.surface_render_method = "BLENDED"
    tree = material.node_tree
    tree.nodes.clear()
    texture = tree.nodes.new("ShaderNodeTexImage")
    texture.image = image
    emission = tree.nodes.new("ShaderNodeEmission")
    clear = tree.nodes.new("ShaderNodeBsdfTransparent")
    mix = tree.nodes.new("ShaderNodeMixShader")
    output = tree.nodes.new("ShaderNodeOutputMaterial")
    tree.links.new(texture.outputs["Color"], emission.inputs["Color"])
    tree.links.new(texture.outputs["Alpha"], mix.inputs["Fac"])
    tree.links.new(clear.outputs[0], mix.inputs[1])
    tree.links.new(emission.outputs[0], mix.inputs[2])
    tree.links.new(mix.outputs[0], output.inputs["Surface"])
    for column, node in enumerate((texture, emission, clear, mix, output)):
        node.location = (220 * column, 0)
    tree.nodes.active = texture
    return material
