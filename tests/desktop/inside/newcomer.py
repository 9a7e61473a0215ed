"""From nothing to a keyframed shot in Blender's window: what the tutorial tells, with screenshots."""

import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import bpy
from bpy_extras.view3d_utils import location_3d_to_region_2d
from director import ADDON, area, arguments, inner, play, screenshot, window, within

given = arguments()
os.environ["TURBOPORTRAIT_STATE"] = given["state"]
folder = Path(given["folder"])
bpy.context.preferences.view.show_splash = False


def scenario():
    session, profiler, link = inner("live.session"), inner("live.profiler").profiler, inner("connection.link").link
    scene = bpy.context.scene
    for thing in list(scene.objects):
        bpy.data.objects.remove(thing)
    scene.render.resolution_x = scene.render.resolution_y = 512
    view = area("VIEW_3D")
    view.spaces.active.show_region_ui = True
    yield 1.0
    sidebar = next(region for region in view.regions if region.type == "UI")
    sidebar.active_panel_category = "TurboPortrait"
    yield 1.0
    screenshot(folder / "1_backend.png")

    with within(view):
        bpy.ops.turboportrait.start_backend()
    yield lambda: link.ready
    with within(view):
        bpy.ops.turboportrait.register_portrait(filepath=given["portrait"])
    yield 0.3
    screenshot(folder / "2_registering.png")
    yield lambda: scene.camera is not None
    head = next(thing for thing in scene.objects if thing.turboportrait.is_head)
    yield 1.0
    screenshot(folder / "2_portrait.png")

    scene.turboportrait.live = True
    with within(view):
        bpy.ops.turboportrait.show_rendered()
        bpy.ops.view3d.view_center_camera()

    def rested():
        views = [each.stream for each in session.viewport.live_views()]
        return views and all(stream.idle for stream in (*session.session_of(scene).streams, *views))

    yield rested
    yield 1.5
    screenshot(folder / "3_rendered.png")

    # A shot: the head turns, smiles and opens its mouth over 250 frames.
    neck = head.pose.bones["neck"]
    for frame, turn in ((1, -0.5), (125, 0.5), (250, 0.0)):
        scene.frame_set(frame)
        neck.rotation_euler.y = turn
        with within(view):
            bpy.ops.turboportrait.keyframe_head()
    scene.frame_set(1)
    yield rested
    yield 1.0
    view.spaces.active.overlay.show_overlays = False
    yield 1.0
    screenshot(folder / "frame_001.png")
    profiler.reset()
    for frame in range(1, 251, 5):
        scene.frame_set(frame)
        yield 0.0
    pending_after_scrub = link.current.pending
    scene.frame_set(125)
    yield rested
    yield 1.5
    screenshot(folder / "frame_125.png")
    save_image(scene, folder / "live_125.png")
    counts = dict(profiler.counts)
    border = camera_border(scene, view)
    scene.frame_set(1)
    yield rested
    yield 1.5
    screenshot(folder / "frame_001_again.png")

    # Undo, and the real keying set, which need a window.
    with within(view):
        bpy.ops.ed.undo_push(message="before")
        neck = head.pose.bones["neck"]
        neck.rotation_euler.x = 0.4
        bpy.ops.ed.undo_push(message="after")
    yield 0.5
    yield rested
    yield 1.5
    screenshot(folder / "frame_001_changed.png")
    with within(view):
        bpy.ops.ed.undo()
    scene = bpy.context.scene
    yield 0.5
    yield rested
    yield 1.5
    screenshot(folder / "frame_001_undone.png")
    head = next(thing for thing in scene.objects if thing.turboportrait.is_head)
    view = area("VIEW_3D")
    with within(view):
        bpy.context.view_layer.objects.active = head
        keyed = bpy.ops.anim.keyframe_insert_by_name(type="TURBOPORTRAIT_KS_head")

    # The hand: rotate the neck with the mouse, in pose mode.
    view.spaces.active.overlay.show_overlays = True
    head.select_set(True)
    with within(view):
        bpy.ops.object.mode_set(mode="POSE")
        head.data.bones.active = head.data.bones["neck"]
        if hasattr(head.pose.bones["neck"], "select"):
            head.pose.bones["neck"].select = True
        else:
            head.data.bones["neck"].select = True
    yield rested
    profiler.reset()
    before = head.pose.bones["neck"].matrix_basis.copy()
    middle_x = view.x + view.width // 2
    middle_y = window().height - (view.y + view.height // 2)
    moves = " ".join(f"mousemove_relative --sync {dx} 3 sleep 0.15" for dx in [15] * 12)
    hand = subprocess.Popen(
        ["sh", "-c", f"xdotool mousemove {middle_x + 150} {middle_y - 150} sleep 0.5 key r sleep 0.5 {moves} click 1"]
    )
    yield lambda: hand.poll() is not None
    yield 0.5
    yield rested
    dragged = {"shown": len(profiler.samples["raw"]), "moved": head.pose.bones["neck"].matrix_basis != before}
    yield 1.0
    screenshot(folder / "4_dragged.png")

    # The card among other things.
    with within(view):
        bpy.ops.object.mode_set(mode="OBJECT")
        bpy.ops.turboportrait.add_card()
        # One before the card, and one behind it.
        bpy.ops.mesh.primitive_monkey_add(size=0.08, location=(-0.1, -0.45, -0.08))
        bpy.ops.mesh.primitive_monkey_add(size=0.25, location=(0.2, 0.3, 0.12))
        bpy.ops.object.light_add(type="SUN", rotation=(0.8, 0.3, -0.5))
    card = inner("live.card").card_of(scene.camera)
    view.spaces.active.shading.type = "SOLID"
    view.spaces.active.shading.color_type = "TEXTURE"
    view.spaces.active.overlay.show_overlays = False
    view.spaces.active.show_region_ui = False
    with within(view):
        bpy.ops.turboportrait.show_image()
    yield 2.0
    # In another engine, beside the viewport.
    scene.render.engine, scene.cycles.samples = "CYCLES", 8
    bpy.ops.render.render()
    area("IMAGE_EDITOR").spaces.active.image = bpy.data.images["Render Result"]
    yield 2.0
    screenshot(folder / "5_card.png")
    said = words_in_german()
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "shot.blend"))
    return {
        "border": border,
        "counts": counts,
        "pending_after_scrub": pending_after_scrub,
        "keyed": keyed == {"FINISHED"},
        "dragged": dragged,
        "card": card is not None,
        "words": said,
        "python": sys.version.split()[0],
        "zmq": sys.modules["zmq"].__file__,
        "addon": ADDON,
    }


def words_in_german():
    """What a button that can't be pressed, a failure and the panel's line say with a dictionary of ours."""
    bpy.app.translations.register("turboportrait_test", {"de_DE": {("*", text): word for text, word in GERMAN.items()}})
    chosen = bpy.context.preferences.view
    before, chosen.language = chosen.language, "de_DE"
    chosen.use_translate_interface = chosen.use_translate_tooltips = chosen.use_translate_reports = True
    bpy.context.view_layer.objects.active = None
    said = []
    for operator, given in (("cut_to_camera", {}), ("register_portrait", {"filepath": "/nowhere/ada.png"})):
        try:
            getattr(bpy.ops.turboportrait, operator)(**given)
        except RuntimeError as error:
            said.append(str(error).strip())
    inner("connection.link").link.say("Cancelled")
    said.append(inner("connection.link").link.message)
    bpy.app.translations.unregister("turboportrait_test")
    chosen.language = before
    return said


GERMAN = {
    "Select the camera to cut to": "Wähle die Kamera des Schnitts",
    "'{file}' cannot be read: {reason}.": "Nicht lesbar ({reason}): '{file}'.",
    "Cancelled": "Abgebrochen",
}


def save_image(scene, path):
    image = bpy.data.images[inner("scene.camera_image").image_name(scene.camera)]
    image.file_format = "PNG"
    image.save(filepath=str(path))


def camera_border(scene, view):
    """The camera's frame in the window: left, top, right, bottom in pixels."""
    region = next(region for region in view.regions if region.type == "WINDOW")
    camera = scene.camera
    corners = [camera.matrix_world @ corner for corner in camera.data.view_frame(scene=scene)]
    points = [location_3d_to_region_2d(region, view.spaces.active.region_3d, corner) for corner in corners]
    xs = [region.x + point.x for point in points]
    ys = [window().height - (region.y + point.y) for point in points]
    return [min(xs), min(ys), max(xs), max(ys)]


play(scenario(), Path(given["report"]))
