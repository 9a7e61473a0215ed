"""Meshes, strands, lamps, sky and camera from a scene's arrays; Blender's world is used with the head's own axes."""

import bpy
import numpy as np
from mathutils import Matrix, Vector

FROM_CAMERA_AXES = np.diag([1.0, -1.0, -1.0, 1.0])
"""Blender's cameras look along -z with y up; ours along +z with y down."""
SENSOR = 36.0


def add_mesh(name: str, vertices: np.ndarray, faces: np.ndarray, values: dict[str, np.ndarray], materials: list):
    """A smooth mesh with vertex attributes.

    `uv` (n, 2) and `corner_uv` (F, 3, 2) become texture coordinates; `part` (F,) says which material a face has.
    """
    mesh = bpy.data.meshes.new(name)
    mesh.vertices.add(len(vertices))
    mesh.vertices.foreach_set("co", np.ascontiguousarray(vertices, np.float32).ravel())
    mesh.loops.add(faces.size)
    mesh.loops.foreach_set("vertex_index", faces.astype(np.int32).ravel())
    mesh.polygons.add(len(faces))
    mesh.polygons.foreach_set("loop_start", np.arange(0, faces.size, 3, dtype=np.int32))
    mesh.update(calc_edges=True)
    mesh.polygons.foreach_set("use_smooth", np.ones(len(faces), bool))
    for key, value in values.items():
        if key == "part":
            mesh.polygons.foreach_set("material_index", value.astype(np.int32))
        elif key == "corner_uv":
            layer = mesh.uv_layers.new(name="corner_uv")
            layer.data.foreach_set("uv", np.ascontiguousarray(value, np.float32).ravel())
        elif key == "uv":
            layer = mesh.uv_layers.new(name="uv")
            layer.data.foreach_set("uv", np.ascontiguousarray(value[faces.ravel()], np.float32).ravel())
        elif value.ndim == 1:
            mesh.attributes.new(key, "FLOAT", "POINT").data.foreach_set("value", value.astype(np.float32))
        else:
            data = mesh.attributes.new(key, "FLOAT_VECTOR", "POINT").data
            data.foreach_set("vector", np.ascontiguousarray(value, np.float32).ravel())
    for material in materials:
        mesh.materials.append(material)
    thing = bpy.data.objects.new(name, mesh)
    bpy.context.scene.collection.objects.link(thing)
    return thing


def add_strands(name: str, strands: np.ndarray, radius: float, values: dict[str, np.ndarray], material):
    """Hair curves (n, P, 3), thinner towards their tips, with attributes (n,) of whole strands."""
    curves = bpy.data.hair_curves.new(name)
    count, points = strands.shape[:2]
    curves.add_curves([points] * count)
    move_strands(curves, strands)
    taper = radius * np.interp(np.linspace(0, 1, points), [0, 0.6, 1], [1, 0.85, 0.3])
    curves.attributes.new("radius", "FLOAT", "POINT").data.foreach_set(
        "value", np.tile(taper, count).astype(np.float32)
    )
    for key, value in values.items():
        curves.attributes.new(key, "FLOAT", "CURVE").data.foreach_set("value", value.astype(np.float32))
    curves.materials.append(material)
    thing = bpy.data.objects.new(name, curves)
    bpy.context.scene.collection.objects.link(thing)
    return thing


def move_mesh(mesh, vertices: np.ndarray) -> None:
    """New places for a mesh's vertices."""
    mesh.vertices.foreach_set("co", np.ascontiguousarray(vertices, np.float32).ravel())
    mesh.update()


def move_strands(curves, strands: np.ndarray) -> None:
    """New places for all points of the curves."""
    curves.attributes["position"].data.foreach_set("vector", np.ascontiguousarray(strands, np.float32).ravel())
    curves.update_tag()


def add_image(name: str, pixels: np.ndarray):
    """A linear float image; rows of `pixels` (H, W, 3) run from the top."""
    height, width = pixels.shape[:2]
    image = bpy.data.images.new(name, width, height, float_buffer=True, is_data=True)
    rgba = np.concatenate([pixels[::-1], np.ones((height, width, 1), np.float32)], -1)
    image.pixels.foreach_set(np.ascontiguousarray(rgba, np.float32).ravel())
    image.update()
    return image


def load_image(path: str, is_data: bool = False):
    """A picture file; its alpha stays beside its colour."""
    image = bpy.data.images.load(path, check_existing=True)
    image.alpha_mode = "CHANNEL_PACKED"
    if is_data:
        image.colorspace_settings.name = "Non-Color"
    return image


def add_lamp(lamp: dict):
    """An area light that shines at the face."""
    data = bpy.data.lights.new("lamp", "AREA")
    data.size, data.energy, data.color = lamp["size"], lamp["power"], lamp["color"]
    thing = bpy.data.objects.new("lamp", data)
    place = Vector(lamp["position"])
    thing.matrix_world = Matrix.Translation(place) @ (-place).to_track_quat("-Z", "Y").to_matrix().to_4x4()
    bpy.context.scene.collection.objects.link(thing)
    return thing


def set_sky(pixels: np.ndarray, strength: float):
    """Light from a panorama whose top is +y and whose middle column is +z; the node that `turn_sky` turns."""
    world = bpy.data.worlds.new("sky")
    bpy.context.scene.world = world
    world.use_nodes = True
    nodes, links = world.node_tree.nodes, world.node_tree.links
    nodes.clear()
    place, turn = nodes.new("ShaderNodeTexCoord"), nodes.new("ShaderNodeMapping")
    texture, shade, out = (nodes.new(f"ShaderNode{n}") for n in ("TexEnvironment", "Background", "OutputWorld"))
    turn_sky(turn, Matrix.Identity(3))
    # Left to itself Cycles takes seconds to find out where so small a panorama is bright.
    world.cycles.sampling_method, world.cycles.sample_map_resolution = "MANUAL", pixels.shape[1]
    texture.image = add_image("sky", pixels)
    shade.inputs["Strength"].default_value = strength
    links.new(place.outputs["Generated"], turn.inputs["Vector"])
    links.new(turn.outputs["Vector"], texture.inputs["Vector"])
    links.new(texture.outputs["Color"], shade.inputs["Color"])
    links.new(shade.outputs["Background"], out.inputs["Surface"])
    return turn


def turn_sky(node, rotation: Matrix) -> None:
    """Turn the panorama by a rotation of the head's axes."""
    # Blender's panoramas have +z up and -y in the middle; the node turns where is looked, not the panorama.
    node.inputs["Rotation"].default_value = (Matrix.Rotation(np.pi / 2, 3, "X") @ rotation.transposed()).to_euler()


def set_camera(K: np.ndarray, world_to_camera: np.ndarray, size: int) -> None:
    """Bring the scene's camera to a pinhole over head space: square pictures, free principal point."""
    scene = bpy.context.scene
    if scene.camera is None:
        scene.camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
        scene.collection.objects.link(scene.camera)
    camera = scene.camera.data
    camera.sensor_fit, camera.sensor_width = "HORIZONTAL", SENSOR
    camera.lens = K[0, 0] * SENSOR / size
    camera.shift_x, camera.shift_y = 0.5 - K[0, 2] / size, K[1, 2] / size - 0.5
    camera.clip_start, camera.clip_end = 0.01, 100
    scene.camera.matrix_world = Matrix((np.linalg.inv(world_to_camera) @ FROM_CAMERA_AXES).tolist())
    scene.render.resolution_x = scene.render.resolution_y = size
    scene.render.resolution_percentage = 100
