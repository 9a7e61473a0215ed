"""A head leaves Blender by Blender's own exporters as an ordinary character."""

import io
import json
import struct

import bpy
import numpy as np
import pytest
from PIL import Image

from backend.protocol.head_parameters import JOINTS
from blender_addon.scene import albedo
from blender_addon.scene.head import add_head, mesh_of
from blender_addon.scene.material import pixels_of


@pytest.fixture
def head(scene, rigged_mesh):
    for name in ("io_scene_gltf2", "io_scene_fbx"):
        bpy.ops.preferences.addon_enable(module=name)
    return add_head(bpy.context, rigged_mesh, "Ada")


def exported(path) -> tuple[dict, bytes]:
    """The JSON and the bytes of a .glb (Khronos: glTF 2.0 specification, section 4.4)."""
    bpy.ops.export_scene.gltf(filepath=str(path))
    data = path.read_bytes()
    length = struct.unpack_from("<I", data, 12)[0]
    return json.loads(data[20 : 20 + length]), data[28 + length :]


def image_in(gltf: dict, binary: bytes, number: int) -> np.ndarray:
    view = gltf["bufferViews"][gltf["images"][number]["bufferView"]]
    start = view.get("byteOffset", 0)
    return np.asarray(Image.open(io.BytesIO(binary[start : start + view["byteLength"]])).convert("RGBA"))


def test_gltf_has_armature_expressions_and_an_unlit_texture_with_alpha(head, rigged_mesh, tmp_path):
    gltf, binary = exported(tmp_path / "ada.glb")
    (skin,) = gltf["skins"]
    assert set(JOINTS) <= {gltf["nodes"][joint]["name"] for joint in skin["joints"]}
    (mesh,) = gltf["meshes"]
    assert mesh["extras"]["targetNames"] == list(rigged_mesh.expression_names)
    modes = set()
    for primitive in mesh["primitives"]:
        assert len(primitive["targets"]) == 52
        assert {"POSITION", "TEXCOORD_0", "JOINTS_0", "WEIGHTS_0"} <= set(primitive["attributes"])
        material = gltf["materials"][primitive["material"]]
        assert "KHR_materials_unlit" in material["extensions"]
        modes.add(material.get("alphaMode", "OPAQUE"))
        texture = gltf["textures"][material["pbrMetallicRoughness"]["baseColorTexture"]["index"]]
        assert (image_in(gltf, binary, texture["source"]) == rigged_mesh.texture).all()
    assert modes == {"OPAQUE", "BLEND"}
    # Every corner has its own place in the texture.
    uv = np.unique(rigged_mesh.uv[rigged_mesh.uv_faces].reshape(-1, 2).round(5), axis=0)
    found = [_vec2(gltf, binary, p["attributes"]["TEXCOORD_0"]) for p in mesh["primitives"]]
    found = np.unique((np.concatenate(found) * [1, -1] + [0, 1]).round(5), axis=0)
    assert len(found) == pytest.approx(len(uv), rel=0.01)


def _vec2(gltf: dict, binary: bytes, accessor: int) -> np.ndarray:
    told = gltf["accessors"][accessor]
    start = gltf["bufferViews"][told["bufferView"]].get("byteOffset", 0) + told.get("byteOffset", 0)
    return np.frombuffer(binary, np.float32, 2 * told["count"], start).reshape(-1, 2)


def test_fbx_has_armature_expressions_and_a_lit_texture(head, rigged_mesh, tmp_path):
    mesh_of(head).data.turboportrait.look = "LIT"
    path = str(tmp_path / "ada.fbx")
    bpy.ops.export_scene.fbx(filepath=path, path_mode="COPY", embed_textures=True)
    before = set(bpy.data.objects)
    bpy.ops.import_scene.fbx(filepath=path)
    came = {thing.type: thing for thing in set(bpy.data.objects) - before}
    assert set(JOINTS) <= {bone.name for bone in came["ARMATURE"].data.bones}
    names = [key.name for key in came["MESH"].data.shape_keys.key_blocks]
    assert names == ["Basis", *rigged_mesh.expression_names]
    shader = came["MESH"].data.materials[0].node_tree.nodes["Principled BSDF"]
    assert shader.inputs["Base Color"].links[0].from_node.image.size[0] == rigged_mesh.texture.shape[1]


def test_lit_is_another_image_and_unlit_comes_back(head, rigged_mesh):
    mesh = mesh_of(head).data
    shown = lambda: pixels_of(mesh.materials[0].node_tree.nodes.active.image)  # noqa: E731
    mesh.turboportrait.look = "LIT"
    lit = shown()
    assert (lit != rigged_mesh.texture).any()
    assert (lit[..., 3] == rigged_mesh.texture[..., 3]).all()
    assert (pixels_of(mesh.turboportrait.texture) == rigged_mesh.texture).all()
    mesh.turboportrait.look = "UNLIT"
    assert (shown() == rigged_mesh.texture).all()


def test_light_is_told_from_skin():
    """Skin of one colour under a known light, a tenth of it hidden by something else."""
    rng = np.random.default_rng(0)
    normals = rng.standard_normal((4000, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    light = rng.uniform(-0.3, 0.3, (8, 3))
    lit = albedo._basis(normals) @ light
    colors = np.array([0.5, 0.3, 0.2]) * np.exp(lit)
    colors[:400] = (0.02, 0.02, 0.03)
    left = lit - albedo._basis(normals) @ albedo._fit(normals, colors)
    assert np.abs(left).mean() < 0.3 * np.abs(lit).mean()
