"""Makes a .blend for batch tests, in a process with bpy: OUTPUT PHOTO [no-head] [ortho].

A head with a portrait that turns over frames 1 to 24, two cameras, a marker bound to each, 24 frames per second.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import bpy
import numpy as np

from blender_addon.scene.head import add_head
from blender_addon.scene.portrait import pack_portrait
from blender_addon.scene.rig import write_pose
from flame import load_head_model


def main(output: str, photo: str, *flags: str) -> None:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.preferences.addon_enable(module="blender_addon")
    scene = bpy.context.scene
    scene.render.fps, scene.render.fps_base = 24, 1.0
    scene.render.resolution_x, scene.render.resolution_y = 96, 64
    scene.frame_start, scene.frame_end = 1, 24
    for name, x in (("Front", 0.0), ("Side", -0.5)):
        camera = bpy.data.objects.new(name, bpy.data.cameras.new(name))
        scene.collection.objects.link(camera)
        camera.location = (x, -1.2, 0.02)
        camera.rotation_euler = (np.pi / 2, 0, np.arctan2(x, 1.2))
        marker = scene.timeline_markers.new(f"{name} shot", frame=1 if name == "Front" else 13)
        marker.camera = camera
    scene.camera = bpy.data.objects["Front"]
    if "ortho" in flags:
        bpy.data.cameras["Side"].type = "ORTHO"
    # A second scene, empty but for its camera, that runs at another rate.
    other = bpy.data.scenes.new("Other")
    other.camera = bpy.data.objects.new("Lone", bpy.data.cameras.new("Lone"))
    other.collection.objects.link(other.camera)
    other.render.fps, other.frame_end = 30, 5
    if "no-head" not in flags:
        _add_head(photo)
    bpy.ops.wm.save_as_mainfile(filepath=output)


def _add_head(photo: str) -> None:
    data = Path(photo).read_bytes()
    head = add_head(bpy.context, load_head_model(), "Anna")
    properties = head.turboportrait
    properties.avatar_id, properties.maker, properties.head_model = "to be made", "bust", "open_head"
    properties.portrait = pack_portrait(photo, data)
    properties.portrait_sha256 = hashlib.sha256(data).hexdigest()
    for frame, angle in ((1, -0.4), (24, 0.4)):
        write_pose(head, np.array([[0, 0, 0], [0, angle, 0], *np.zeros((3, 3))]), np.zeros(3))
        head.pose.bones["neck"].keyframe_insert("rotation_euler", frame=frame)


if __name__ == "__main__":
    main(*sys.argv[1:])
