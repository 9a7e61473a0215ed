"""A take, a video and a camera drive the head in Blender's window, which goes on meanwhile; cancel, undo, the NLA."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import bpy
from director import area, arguments, inner, play, screenshot, window, within

given = arguments()
os.environ["TURBOPORTRAIT_STATE"] = given["state"]
os.environ["TURBOPORTRAIT_TEST_PORT"] = str(given["port"])
os.environ["TURBOPORTRAIT_PYTHON"] = str(Path(__file__).with_name("backend_python.py"))
folder = Path(given["folder"])
bpy.context.preferences.view.show_splash = False
SCROLLS = 80
"""More than the sidebar is long."""
frames_shown = []
"""Of the timeline, as it plays."""


def scenario():
    link, profiler, following = (
        inner("connection.link").link,
        inner("live.profiler").profiler,
        inner("performance.following"),
    )
    scene = bpy.context.scene
    for thing in list(scene.objects):
        bpy.data.objects.remove(thing)
    scene.render.resolution_x = scene.render.resolution_y = 256
    scene.turboportrait.live_size = 256
    scene.render.fps = 25
    view = area("VIEW_3D")
    view.spaces.active.show_region_ui = True
    open_panels()
    yield 1.0
    next(region for region in view.regions if region.type == "UI").active_panel_category = "TurboPortrait"
    with within(view):
        bpy.ops.turboportrait.start_backend()
    yield lambda: link.ready
    with within(view):
        bpy.ops.turboportrait.register_portrait(filepath=given["portrait"])
    yield lambda: scene.camera is not None
    head = next(thing for thing in scene.objects if thing.turboportrait.is_head)
    bpy.context.view_layer.objects.active = head
    yield lambda: not link.busy
    settings = scene.turboportrait_performance
    result = {}

    # A take, and one step of undo.
    with within(view):
        bpy.ops.ed.undo_push(message="before")
    settings.file, settings.start, settings.travels = given["take"], 10, False
    with within(view):
        bpy.ops.turboportrait.apply_performance()
    yield lambda: playing(head)
    result["take"] = state_of(scene, head)
    scroll_to_the_end(view)
    yield 1.0
    screenshot(folder / "take.png")
    with within(view):
        bpy.ops.ed.undo()
    scene = bpy.context.scene
    head = next(thing for thing in scene.objects if thing.turboportrait.is_head)
    view, settings = area("VIEW_3D"), scene.turboportrait_performance
    result["undone"] = not playing(head)
    with within(view):
        bpy.ops.ed.redo()
    scene = bpy.context.scene
    head = next(thing for thing in scene.objects if thing.turboportrait.is_head)
    view, settings = area("VIEW_3D"), scene.turboportrait_performance
    result["redone"] = playing(head)

    # A video that is given up: nothing comes of it.
    bpy.context.view_layer.objects.active = head
    before = set(bpy.data.actions.keys())
    settings.file = given["long_video"]
    with within(view):
        bpy.ops.turboportrait.apply_performance()
    yield lambda: (link.fraction or 0) > 0.02
    result["while_tracking"] = link.message
    with within(view):
        screen_plays(True)
    shown = len(frames_shown)
    yield lambda: len(frames_shown) > shown + 25
    result["tracks_still"] = link.busy
    screenshot(folder / "tracking.png")
    with within(view):
        screen_plays(False)
        bpy.ops.turboportrait.cancel()
    yield lambda: not link.busy
    result["cancelled"] = {"message": link.message, "actions": sorted(set(bpy.data.actions.keys()) - before)}

    # A video: what the head did before goes into the NLA.
    settings.file, settings.start = given["video"], 1
    before = head.animation_data.action
    with within(view):
        bpy.ops.turboportrait.apply_performance()
    yield lambda: head.animation_data.action != before
    result["video"] = state_of(scene, head)
    result["nla"] = [track.strips[0].action == before for track in head.animation_data.nla_tracks]

    # A camera: the viewport's refined pictures follow, a recording becomes keys.
    scene.turboportrait.live = True
    scene.turboportrait.output = "RAW"
    with within(view):
        bpy.ops.turboportrait.show_rendered()
        bpy.ops.view3d.view_center_camera()
    head.animation_data.action = None
    bpy.context.window_manager.turboportrait_capture.source = given["long_video"]
    profiler.reset()
    with within(view):
        bpy.ops.turboportrait.start_camera()
    yield lambda: following.current is None or (following.current.seen and len(profiler.samples["camera"]) > 25)
    result["camera"] = [round(each) for each in profiler.milliseconds("camera")]
    with within(view):
        bpy.ops.turboportrait.record()
    yield lambda: following.current.recorded_frames > 50
    screenshot(folder / "camera.png")
    with within(view):
        bpy.ops.turboportrait.keep_recording()
    yield lambda: playing(head)
    result["recorded"] = state_of(scene, head)
    result["raw_views"] = len(profiler.samples["raw"])
    return result


def open_panels():
    """Panels that are closed by default open: their state cannot be set."""
    panels = inner("ui.performance_panel").CLASSES
    for panel in reversed(panels):
        bpy.utils.unregister_class(panel)
    for panel in panels:
        panel.bl_options = set()
        bpy.utils.register_class(panel)


def scroll_to_the_end(view):
    """Of the sidebar, where the step is."""
    sidebar = next(region for region in view.regions if region.type == "UI")
    with bpy.context.temp_override(window=window(), screen=window().screen, area=view, region=sidebar):
        for _ in range(SCROLLS):
            bpy.ops.view2d.scroll_down()


def playing(head):
    return head.animation_data is not None and head.animation_data.action is not None


def screen_plays(wanted):
    if bpy.context.screen.is_animation_playing != wanted:
        bpy.ops.screen.animation_play()


def state_of(scene, head):
    """The head's action, and how far it turns at each of its frames."""
    action = head.animation_data.action
    first, last = map(int, action.frame_range)
    turns = []
    for frame in range(first, last + 1):
        scene.frame_set(frame)
        evaluated = head.evaluated_get(bpy.context.evaluated_depsgraph_get())
        turns.append([round(value, 5) for value in evaluated.pose.bones["neck"].rotation_euler])
    return {
        "name": action.name,
        "slots": [slot.target_id_type for slot in action.slots],
        "first": first,
        "turns": turns,
    }


@bpy.app.handlers.persistent
def count(scene, *_):
    frames_shown.append(scene.frame_current)


bpy.app.handlers.frame_change_post.append(count)
play(scenario(), Path(given["report"]))
