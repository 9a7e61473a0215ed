"""The demonstration scene: a portrait registered, a head turn keyframed, frames rendered, all through the add-on.

Run as `python -m blender_addon.demo SETTINGS.json` by a Python that has bpy; `turboportrait demo` does. Each line that
it prints with the prefix PROGRESS is JSON for the one who runs it.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import bpy
import numpy as np

from .scene.head import require_mesh
from .scene.parameters import head_parameters
from .scene.rig import write_pose

PROGRESS = "@demo "
FRAMES_PER_SECOND = 24
TURN_END, NOD_END = 0.5, 0.75
"""Shares of the shot: the head turns from side to side, then nods, then opens its mouth."""
TURN, NOD, JAW = np.radians(35), np.radians(12), 0.6
ORBIT = np.radians((4.0, 0.0, 10.0))
"""How far the camera travels round the head in the shot, about the head's own axes (Blender's x, y, z)."""


def main(settings_path: str) -> None:
    """Build, render and save; the settings are portrait, output, frames and size."""
    settings = json.loads(Path(settings_path).read_text())
    output = Path(settings["output"])
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.preferences.addon_enable(module=__package__)
    scene = _prepare_scene(settings["size"], settings["frames"])

    bpy.ops.turboportrait.start_backend()
    started = time.perf_counter()
    bpy.ops.turboportrait.register_portrait(filepath=settings["portrait"])
    tell(registration_seconds=time.perf_counter() - started)

    head = next(thing for thing in bpy.data.objects if thing.turboportrait.is_head)
    keyframe_head(head, settings["frames"])
    keyframe_camera(scene, head, settings["frames"])
    bpy.ops.wm.save_as_mainfile(filepath=str(output / "demo.blend"))
    for frame in range(1, settings["frames"] + 1):
        scene.frame_set(frame)
        scene.render.filepath = str(output / "frames" / f"{frame:04d}.png")
        started = time.perf_counter()
        bpy.ops.render.render(write_still=True)
        tell(frame=frame, seconds=time.perf_counter() - started)
    bpy.ops.turboportrait.stop_backend()


def _prepare_scene(size: int, frames: int) -> bpy.types.Scene:
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end = 1, frames
    render = scene.render
    render.engine = "TURBOPORTRAIT3D"
    render.resolution_x = render.resolution_y = size
    render.fps = FRAMES_PER_SECOND
    render.image_settings.file_format = "PNG"
    scene.world = bpy.data.worlds.new("Backdrop")
    scene.world.color = (0.30, 0.32, 0.35)
    return scene


def keyframe_head(head: bpy.types.Object, frames: int) -> None:
    """A turn from the person's right to the left, a nod, and an open mouth, as ordinary keyframes."""
    turn_end, nod_end = (1 + round(share * (frames - 1)) for share in (TURN_END, NOD_END))
    turned = {1: (-TURN, 0), turn_end: (TURN, 0), (turn_end + nod_end) // 2: (0, NOD), nod_end: (0, 0), frames: (0, 0)}
    translation = np.array(head_parameters(head, bpy.context.evaluated_depsgraph_get()).translation)
    neck = head.pose.bones["neck"]
    for frame, (yaw, pitch) in turned.items():
        pose = np.zeros((5, 3))
        pose[1] = (pitch, yaw, 0)
        write_pose(head, pose, translation)
        neck.keyframe_insert("rotation_euler", frame=frame)
    keys = require_mesh(head).data.shape_keys.key_blocks
    if "jawOpen" in keys:
        at_rest = keys["jawOpen"].value
        for frame, value in {nod_end: at_rest, (nod_end + frames) // 2: JAW, frames: at_rest}.items():
            keys["jawOpen"].value = value
            keys["jawOpen"].keyframe_insert("value", frame=frame)


def keyframe_camera(scene: bpy.types.Scene, head: bpy.types.Object, frames: int) -> None:
    """Have the portrait's camera travel round the head on an empty that it hangs on."""
    camera = scene.camera
    pivot = bpy.data.objects.new("Camera pivot", None)
    scene.collection.objects.link(pivot)
    pivot.location = head.matrix_world @ head.data.bones["neck"].tail_local
    bpy.context.view_layer.update()
    camera.parent = pivot
    camera.matrix_parent_inverse = pivot.matrix_world.inverted()
    for frame, share in ((1, 0.5), (frames, -0.5)):
        pivot.rotation_euler = share * ORBIT
        pivot.keyframe_insert("rotation_euler", frame=frame)


def tell(**fields: object) -> None:
    """One line of progress for the parent process."""
    print(PROGRESS + json.dumps(fields), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
