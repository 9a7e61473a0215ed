"""Exports a rigged mesh as the add-on's head: `python export.py MESH.npz HEAD.glb`, by a Python that has bpy."""

import sys

import bpy
import numpy as np

from backend.protocol.rigged_mesh import RiggedMesh
from blender_addon.scene.head import add_head

bpy.ops.preferences.addon_enable(module="blender_addon")
with np.load(sys.argv[1]) as file:
    arrays = dict(file)
arrays["expression_names"] = tuple(arrays["expression_names"].tolist())
for thing in list(bpy.data.objects):
    bpy.data.objects.remove(thing)
add_head(bpy.context, RiggedMesh(**arrays), "Head")
bpy.ops.export_scene.gltf(filepath=sys.argv[2])
