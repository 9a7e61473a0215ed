"""The avatar's look as a Blender material: the photo, unlit, as the backend draws it."""

from __future__ import annotations

import bpy
import numpy as np

from backend.protocol.rigged_mesh import RiggedMesh

SKIN = (0.55, 0.38, 0.31, 1.0)
FILL_UV = "fill"
"""Second UV layer, and the attributes below: what a `RiggedMesh` carries per vertex."""
BASE_COLOR, PHOTO_WEIGHT, PHOTO_FACING, FILL_WEIGHT = "base_color", "photo_weight", "photo_facing", "fill_weight"


def plain_skin() -> bpy.types.Material:
    """The matt skin of a head without a portrait, one for the whole file."""
    material = bpy.data.materials.get("TP3D skin")
    if material is None:
        material = bpy.data.materials.new("TP3D skin")
        _use_nodes(material)
        material.node_tree.nodes["Principled BSDF"].inputs["Base Color"].default_value = SKIN
        material.node_tree.nodes["Principled BSDF"].inputs["Roughness"].default_value = 0.6
        material.diffuse_color = SKIN
    return material


def dress(mesh: bpy.types.Mesh, source: RiggedMesh) -> None:
    """Give a mesh with `source`'s vertices and faces its attributes and its material."""
    layer = mesh.uv_layers.new(name=FILL_UV, do_init=False)
    layer.uv.foreach_set("vector", np.ascontiguousarray(source.fill_uv[source.faces], np.float32).ravel())
    for name in (PHOTO_WEIGHT, PHOTO_FACING, FILL_WEIGHT):
        values = np.ascontiguousarray(getattr(source, name), np.float32)
        mesh.attributes.new(name, "FLOAT", "POINT").data.foreach_set("value", values)
    color = np.ones((len(source.vertices), 4), np.float32)
    color[:, :3] = source.base_color / np.float32(255)
    mesh.color_attributes.new(BASE_COLOR, "BYTE_COLOR", "POINT").data.foreach_set("color_srgb", color.ravel())
    mesh.materials.append(portrait_material(mesh.name, image_of(f"{mesh.name} texture", source.texture)))


def image_of(name: str, pixels: np.ndarray) -> bpy.types.Image:
    """A packed image from (H, W, 4) uint8 sRGB."""
    height, width = pixels.shape[:2]
    image = bpy.data.images.new(name, width, height, alpha=True)
    # The backend's texture is opaque in use, whatever its alpha says.
    image.alpha_mode = "CHANNEL_PACKED"
    set_pixels(image, pixels)
    image.pack()
    return image


def set_pixels(image: bpy.types.Image, pixels: np.ndarray) -> None:
    """Write (H, W, 4) uint8 sRGB, top row first, into a byte image of that size."""
    image.pixels.foreach_set(np.divide(pixels[::-1], np.float32(255), dtype=np.float32).ravel())
    image.update()


def portrait_material(name: str, image: bpy.types.Image) -> bpy.types.Material:
    """The formula of `RiggedMesh` as nodes, emitted: light and shadow are already in the photo."""
    material = bpy.data.materials.new(name)
    _use_nodes(material)
    tree = material.node_tree
    tree.nodes.clear()
    graph = _Graph(tree)

    geometry = tree.nodes.new("ShaderNodeNewGeometry")
    cosine = graph.vector("DOT_PRODUCT", geometry.outputs["Incoming"], geometry.outputs["Normal"])
    view_facing = graph.math("MAXIMUM", graph.math("ABSOLUTE", cosine), 1e-3)
    ratio = graph.math("DIVIDE", graph.attribute(PHOTO_FACING, "Fac"), view_facing)
    rise = graph.math("SUBTRACT", ratio, RiggedMesh.FADE_START)
    fade = graph.math("DIVIDE", rise, RiggedMesh.FADE_LENGTH, clamp=True)
    photo_weight = graph.math("MULTIPLY", graph.attribute(PHOTO_WEIGHT, "Fac"), fade)
    fill_weight = graph.attribute(FILL_WEIGHT, "Fac")

    photo, fill = graph.image(image, "UVMap"), graph.image(image, FILL_UV)
    filled = graph.mix(fill_weight, graph.attribute(BASE_COLOR, "Color"), fill.outputs["Color"])
    color = graph.mix(photo_weight, filled, photo.outputs["Color"])
    emission = tree.nodes.new("ShaderNodeEmission")
    output = tree.nodes.new("ShaderNodeOutputMaterial")
    tree.links.new(color, emission.inputs["Color"])
    tree.links.new(emission.outputs[0], output.inputs["Surface"])
    # Solid mode with texture colour shows the active image node.
    tree.nodes.active = photo
    graph.arrange()
    return material


def _use_nodes(material: bpy.types.Material) -> None:
    # From Blender 5.0 on every material has nodes, and switching them on is deprecated.
    if bpy.app.version < (5, 0):
        material.use_nodes = True


class _Graph:
    """Shader nodes written as expressions: each method adds a node, links its inputs and returns its output."""

    def __init__(self, tree: bpy.types.NodeTree):
        self.tree = tree

    def attribute(self, name: str, output: str) -> bpy.types.NodeSocket:
        node = self.tree.nodes.new("ShaderNodeAttribute")
        node.attribute_name = name
        return node.outputs[output]

    def image(self, image: bpy.types.Image, uv: str) -> bpy.types.Node:
        coordinates = self.tree.nodes.new("ShaderNodeUVMap")
        coordinates.uv_map = uv
        node = self.tree.nodes.new("ShaderNodeTexImage")
        node.image = image
        node.extension = "EXTEND"
        self.tree.links.new(coordinates.outputs["UV"], node.inputs["Vector"])
        return node

    def math(self, operation: str, *values: bpy.types.NodeSocket | float, clamp: bool = False):
        node = self.tree.nodes.new("ShaderNodeMath")
        node.operation, node.use_clamp = operation, clamp
        self._feed(node.inputs, values)
        return node.outputs[0]

    def vector(self, operation: str, *values: bpy.types.NodeSocket):
        node = self.tree.nodes.new("ShaderNodeVectorMath")
        node.operation = operation
        self._feed(node.inputs, values)
        return node.outputs["Value"]

    def mix(self, factor: bpy.types.NodeSocket, low: bpy.types.NodeSocket, high: bpy.types.NodeSocket):
        node = self.tree.nodes.new("ShaderNodeMix")
        node.data_type = "RGBA"
        # The node has sockets of every type and shows one set: only identifiers tell them apart.
        sockets = {socket.identifier: socket for socket in node.inputs}
        self._feed([sockets[name] for name in ("Factor_Float", "A_Color", "B_Color")], (factor, low, high))
        return next(socket for socket in node.outputs if socket.identifier == "Result_Color")

    def _feed(self, sockets, values) -> None:
        for socket, value in zip(sockets, values, strict=False):
            if isinstance(value, bpy.types.NodeSocket):
                self.tree.links.new(value, socket)
            else:
                socket.default_value = value

    def arrange(self) -> None:
        """Place the nodes in columns by their distance to the output, so that users can read the tree."""
        inputs = {node: [] for node in self.tree.nodes}
        for link in self.tree.links:
            inputs[link.to_node].append(link.from_node)
        depth = {}

        def visit(node, level):
            if depth.get(node, -1) < level:
                depth[node] = level
                for source in inputs[node]:
                    visit(source, level + 1)

        visit(next(node for node in self.tree.nodes if node.type == "OUTPUT_MATERIAL"), 0)
        rows: dict[int, int] = {}
        for node, level in depth.items():
            row = rows.get(level, 0)
            node.location = (-220 * level, -260 * row)
            rows[level] = row + 1
