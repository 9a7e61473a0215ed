"""How a head looks in Blender: one image on it, unlit as the backend draws it, or lit by the scene's lights.

Both are what Blender's own exporters know: the unlit nodes become glTF's KHR_materials_unlit, FBX takes Principled.
"""

from __future__ import annotations

import bpy
import numpy as np

from backend.protocol.rigged_mesh import RiggedMesh

from . import albedo

SKIN = (0.55, 0.38, 0.31, 1.0)
OPAQUE = 252
"""Alpha (of 255) from which on a face needs no blending, if all its texels have it, as in the backend's own views."""
ROUGHNESS = 0.6


def plain_skin() -> bpy.types.Material:
    """The matt skin of a head without a portrait, one for the whole file."""
    material = bpy.data.materials.get("TP3D skin")
    if material is None:
        material = bpy.data.materials.new("TP3D skin")
        _use_nodes(material)
        material.node_tree.nodes["Principled BSDF"].inputs["Base Color"].default_value = SKIN
        material.node_tree.nodes["Principled BSDF"].inputs["Roughness"].default_value = ROUGHNESS
        material.diffuse_color = SKIN
    return material


def dress(mesh: bpy.types.Mesh, source: RiggedMesh) -> None:
    """Give a mesh with `source`'s faces and uv its texture and two unlit materials: what is opaque, and hair's edges.

    Renderers sort what is blended badly, so that only what must be is.
    """
    image = image_of(f"{mesh.name} texture", source.texture)
    mesh.turboportrait.texture = image
    for part in ("opaque", "hair"):
        material = bpy.data.materials.new(f"{mesh.name} {part}")
        _use_nodes(material)
        mesh.materials.append(material)
    blended = see_through(source.uv[source.uv_faces], source.texture[..., 3])
    mesh.polygons.foreach_set("material_index", blended.astype(np.int32))
    show(mesh)


def see_through(corner_uv: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """(F,) bool: which faces with texture coordinates (F, 3, 2) have texels of alpha (H, W) uint8 below OPAQUE."""
    height, width = alpha.shape
    counts = np.zeros((height + 1, width + 1), np.int64)
    counts[1:, 1:] = (alpha < OPAQUE).cumsum(0).cumsum(1)
    column, row = corner_uv[..., 0] * width - 0.5, (1 - corner_uv[..., 1]) * height - 0.5
    x0, x1 = (np.clip(bound, 0, width).astype(int) for bound in (column.min(1), column.max(1) + 2))
    y0, y1 = (np.clip(bound, 0, height).astype(int) for bound in (row.min(1), row.max(1) + 2))
    return counts[y1, x1] - counts[y0, x1] - counts[y1, x0] + counts[y0, x0] > 0


def show(mesh: bpy.types.Mesh) -> None:
    """Set a head mesh's two materials up for its texture and look."""
    image, lit = mesh.turboportrait.texture, mesh.turboportrait.look == "LIT"
    if image is None or len(mesh.materials) < 2:
        return
    if lit:
        image = _lit_image(mesh, image)
    for material, blended in zip(mesh.materials[:2], (False, True), strict=True):
        tree = material.node_tree
        tree.nodes.clear()
        texture = tree.nodes.new("ShaderNodeTexImage")
        texture.image = image
        texture.extension = "EXTEND"
        surface = _principled(tree, texture, blended) if lit else _unlit(tree, texture, blended)
        output = tree.nodes.new("ShaderNodeOutputMaterial")
        tree.links.new(surface, output.inputs["Surface"])
        # Solid mode with texture colour shows the active image node.
        tree.nodes.active = texture
        material.surface_render_method = "DITHERED"
        for level, node in enumerate(tree.nodes):
            node.location = (240 * level, 0)


def _unlit(tree: bpy.types.NodeTree, texture: bpy.types.Node, blended: bool) -> bpy.types.NodeSocket:
    """Light and shadow are in the photo already: emitted to the camera; to other rays the head is matt."""
    emission, matt = tree.nodes.new("ShaderNodeEmission"), tree.nodes.new("ShaderNodeBsdfDiffuse")
    for node in (emission, matt):
        tree.links.new(texture.outputs["Color"], node.inputs["Color"])
    camera = tree.nodes.new("ShaderNodeLightPath").outputs["Is Camera Ray"]
    shown = _mix(tree, camera, matt.outputs[0], emission.outputs[0])
    if not blended:
        return shown
    clear = tree.nodes.new("ShaderNodeBsdfTransparent").outputs[0]
    return _mix(tree, texture.outputs["Alpha"], clear, shown)


def _principled(tree: bpy.types.NodeTree, texture: bpy.types.Node, blended: bool) -> bpy.types.NodeSocket:
    node = tree.nodes.new("ShaderNodeBsdfPrincipled")
    node.inputs["Roughness"].default_value = ROUGHNESS
    tree.links.new(texture.outputs["Color"], node.inputs["Base Color"])
    if blended:
        tree.links.new(texture.outputs["Alpha"], node.inputs["Alpha"])
    return node.outputs[0]


def _mix(
    tree: bpy.types.NodeTree,
    factor: bpy.types.NodeSocket,
    low: bpy.types.NodeSocket,
    high: bpy.types.NodeSocket,
) -> bpy.types.NodeSocket:
    node = tree.nodes.new("ShaderNodeMixShader")
    for value, socket in zip((factor, low, high), node.inputs, strict=True):
        tree.links.new(value, socket)
    return node.outputs[0]


def _lit_image(mesh: bpy.types.Mesh, image: bpy.types.Image) -> bpy.types.Image:
    """The image without the photo's light, made anew of the texture as it is now."""
    pixels = albedo.without_light(mesh, pixels_of(image))
    name = f"{image.name} lit"
    lit = bpy.data.images.get(name)
    if lit is None or tuple(lit.size) != tuple(image.size):
        return image_of(name, pixels)
    set_pixels(lit, pixels)
    lit.pack()
    return lit


def image_of(name: str, pixels: np.ndarray) -> bpy.types.Image:
    """A packed image from (H, W, 4) uint8 sRGB."""
    height, width = pixels.shape[:2]
    image = bpy.data.images.new(name, width, height, alpha=True)
    # Colours go on under low alpha, as the backend filters them.
    image.alpha_mode = "CHANNEL_PACKED"
    set_pixels(image, pixels)
    image.pack()
    return image


def set_pixels(image: bpy.types.Image, pixels: np.ndarray) -> None:
    """Write (H, W, 4) uint8 sRGB, top row first, into a byte image of that size."""
    image.pixels.foreach_set(np.divide(pixels[::-1], np.float32(255), dtype=np.float32).ravel())
    image.update()


def pixels_of(image: bpy.types.Image) -> np.ndarray:
    """(H, W, 4) uint8 sRGB, top row first, of a byte image; the reverse of `set_pixels`."""
    width, height = image.size
    flat = np.empty(4 * width * height, np.float32)
    image.pixels.foreach_get(flat)
    flat *= 255
    flat += 0.5
    return np.ascontiguousarray(flat.astype(np.uint8).reshape(height, width, 4)[::-1])


def _use_nodes(material: bpy.types.Material) -> None:
    # From Blender 5.0 on every material has nodes, and switching them on is deprecated.
    if bpy.app.version < (5, 0):
        material.use_nodes = True
