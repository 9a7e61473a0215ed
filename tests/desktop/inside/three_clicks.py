"""Install the zip that brings its backend, Start, register, F12, quit: in a window, with a screenshot of each step."""

import os
import shutil
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import bpy
from director import ADDON, area, arguments, inner, play, screenshot, within

given = arguments()
folder = Path(given["folder"])
os.environ["TURBOPORTRAIT_STATE"] = given["state"]
# For the pictures of the screen alone; the extension and its backend find no other program.
SEEN = os.environ["PATH"]
bpy.context.preferences.view.show_splash = False


def taken(name):
    os.environ["PATH"] = SEEN
    screenshot(folder / f"{name}.png")
    os.environ["PATH"] = given["empty"]


def scenario():
    seconds, began = {}, time.monotonic()

    def lap(name):
        nonlocal began
        seconds[name], began = round(time.monotonic() - began, 1), time.monotonic()

    scene, view = bpy.context.scene, area("VIEW_3D")
    for thing in list(scene.objects):
        bpy.data.objects.remove(thing)
    os.environ["PATH"] = given["empty"]
    bpy.ops.extensions.package_install_files(filepath=given["zip"], repo="user_default", enable_on_install=True)
    lap("install")
    bpy.context.preferences.addons[ADDON].preferences.timeout = given["patience"]
    link = inner("connection.link").link
    view.spaces.active.show_region_ui = True
    yield 1.0
    next(region for region in view.regions if region.type == "UI").active_panel_category = "TurboPortrait"
    yield 1.0
    taken("1_installed")
    lap("look")
    with within(view):
        bpy.ops.turboportrait.start_backend()
    yield lambda: link.fraction and 0.3 < link.fraction < 1
    yield 0.3
    taken("2_unpacking")
    yield lambda: link.ready or (link.failed and not link.busy)
    lap("start")
    yield 0.5
    taken("3_started")
    if not link.ready:
        raise AssertionError(link.message)
    with within(view):
        bpy.ops.turboportrait.register_portrait(filepath=given["portrait"])
    yield lambda: scene.camera is not None or link.failed
    lap("register")
    yield 1.0
    taken("4_registered")
    scene.render.engine = "TURBOPORTRAIT3D"
    scene.render.resolution_x = scene.render.resolution_y = 512
    scene.render.film_transparent = True
    rendered = []
    bpy.app.handlers.render_complete.append(lambda *_: rendered.append(True))
    with within(view):
        bpy.ops.render.render("INVOKE_DEFAULT")
    yield lambda: rendered
    lap("render")
    yield 2.0
    taken("5_rendered")
    bpy.data.images["Render Result"].save_render(str(folder / "f12.png"))
    process = inner("connection.connect").own_process().process
    command = process.args
    bpy.ops.turboportrait.stop_backend()
    yield lambda: not link.owns_process
    yield 0.5
    taken("6_stopped")
    shutil.rmtree(inner("connection.bundled").folder().parent)
    return {"seconds": seconds, "command": command, "blender": bpy.app.version_string, "python": sys.version.split()[0]}


play(scenario(), Path(given["report"]), given["patience"])
