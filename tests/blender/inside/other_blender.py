"""Another Blender with a head and a live preview: moves the head to each number that it is told, says where it is seen.

python other_blender.py PORTRAIT BACKEND-COMMAND...
"""

import sys

import bpy
import numpy as np
from mathutils import Matrix

bpy.ops.preferences.addon_enable(module="blender_addon")

from watching import middle, settle, shown, turn_until  # noqa: E402

from blender_addon.connection import preferences  # noqa: E402

portrait, *command = sys.argv[1:]
preferences.backend_command = lambda python: tuple(command)
scene = bpy.context.scene
scene.camera.matrix_world = Matrix.Translation((0, -1, 0)) @ Matrix.Rotation(np.pi / 2, 4, "X")
scene.camera.data.lens = 50
scene.render.resolution_x = scene.render.resolution_y = scene.turboportrait.live_size = 128
bpy.ops.turboportrait.register_portrait(filepath=portrait, maker="little", new_head=True)
head = bpy.context.object
scene.turboportrait.live = True
bpy.context.view_layer.update()
turn_until(lambda: shown(scene.camera) is not None)
settle(scene)
print("middle", middle(shown(scene.camera)), flush=True)
for line in sys.stdin:
    head.location.x = float(line)
    settle(scene)
    print("middle", middle(shown(scene.camera)), flush=True)
bpy.ops.preferences.addon_disable(module="blender_addon")
