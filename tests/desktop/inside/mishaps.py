"""What nobody should do: the extension disabled while it renders an animation and previews, and enabled again."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import bpy
from director import ADDON, area, arguments, inner, play, within

given = arguments()
os.environ["TURBOPORTRAIT_STATE"] = given["state"]
frames = Path(given["folder"]) / "frames"
bpy.context.preferences.view.show_splash = False


def scenario():
    link = inner("connection.link").link
    scene = bpy.context.scene
    for thing in list(scene.objects):
        bpy.data.objects.remove(thing)
    view = area("VIEW_3D")
    with within(view):
        bpy.ops.turboportrait.start_backend()
    yield lambda: link.ready
    with within(view):
        bpy.ops.turboportrait.register_portrait(filepath=given["portrait"])
    yield lambda: scene.camera is not None
    scene.render.resolution_x = scene.render.resolution_y = 128
    scene.render.filepath = str(frames / "frame_")
    scene.turboportrait.output = "RAW"
    scene.turboportrait.live_size = 128
    scene.turboportrait.live = True
    with within(view):
        bpy.ops.turboportrait.show_rendered()

    def shown():
        session = inner("live.session")
        current = session.session_of(scene)
        if current is None:
            return False
        streams = [*current.streams, *(each.stream for each in session.viewport.live_views())]
        return len(streams) > 1 and all(stream.idle and stream.shown for stream in streams)

    yield shown
    scene.frame_end = 500
    with within(view):
        bpy.ops.render.render("INVOKE_DEFAULT", animation=True)
    yield lambda: len(list(frames.glob("*.png"))) > 2
    rendering = bpy.app.is_job_running("RENDER")
    bpy.ops.preferences.addon_disable(module=ADDON)
    yield lambda: not bpy.app.is_job_running("RENDER")
    rendered = len(list(frames.glob("*.png")))
    yield 1.0
    gone = not hasattr(bpy.types, "TURBOPORTRAIT_PT_backend") and scene.render.engine != "TURBOPORTRAIT3D"

    bpy.ops.preferences.addon_enable(module=ADDON)
    scene.frame_end = scene.frame_start = 501
    with within(view):
        bpy.ops.turboportrait.show_rendered()
    yield shown
    with within(view):
        bpy.ops.render.render("INVOKE_DEFAULT", animation=True)
    yield lambda: not bpy.app.is_job_running("RENDER") and (frames / "frame_0501.png").exists()
    return {"rendering": rendering, "rendered": rendered, "gone": gone, "live": scene.turboportrait.live}


play(scenario(), Path(given["report"]))
