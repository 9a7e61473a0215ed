"""Within a Blender as a Python module: install the zip (if one is named), Start, register, F12, quit.

`python three_clicks.py JSON`; prints a line of JSON with the seconds of each step.
"""

import json
import sys
import time

given = json.loads(sys.argv[1])
sys.path[:0] = given["path"]
import bpy  # noqa: E402

seconds = {}


def step(name: str, work) -> None:
    began = time.monotonic()
    assert work() == {"FINISHED"}, name
    seconds[name] = round(time.monotonic() - began, 1)


extensions = bpy.ops.extensions
for archive in given["archives"]:
    install = {"filepath": archive, "repo": "user_default", "enable_on_install": not given.get("stop_there")}
    step("install", lambda install=install: extensions.package_install_files(**install))
if not given.get("stop_there"):
    addon = "bl_ext.user_default.turboportrait3d"
    if not given["archives"]:
        bpy.ops.preferences.addon_enable(module=addon)
    preferences = bpy.context.preferences.addons[addon].preferences
    preferences.timeout = 1200
    scene = bpy.context.scene
    for thing in list(scene.objects):
        bpy.data.objects.remove(thing)
    step("start", bpy.ops.turboportrait.start_backend)
    step("register", lambda: bpy.ops.turboportrait.register_portrait(filepath=given["portrait"]))
    scene.render.engine = "TURBOPORTRAIT3D"
    scene.render.resolution_x = scene.render.resolution_y = 256
    scene.render.film_transparent = True
    scene.render.filepath = given["picture"]
    step("render", lambda: bpy.ops.render.render(write_still=True))
    step("stop", bpy.ops.turboportrait.stop_backend)
    heads = [thing.name for thing in scene.objects if thing.turboportrait.is_head]
    seconds |= {"blender": bpy.app.version_string, "heads": heads, "python": sys.version.split()[0]}
print("@done " + json.dumps(seconds), flush=True)
