"""Figures of the live preview in Blender's window: latency, a scrub, memory, frame rate (see tools/measure_live.py)."""

import json
import os
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import bpy
from director import area, arguments, inner, play, within

given = arguments()
os.environ["TURBOPORTRAIT_STATE"] = given["state"]
bpy.context.preferences.view.show_splash = False
MEMORY_SECONDS = 300.0
"""A slow machine makes fewer previews, and says how many."""
TURN_SECONDS = 0.002
LOG = Path(given["state"]) / f"{given['part']}.jsonl"


def scenario():
    session, profiler, link = inner("live.session"), inner("live.profiler").profiler, inner("connection.link").link
    scene = bpy.context.scene
    for thing in list(scene.objects):
        bpy.data.objects.remove(thing)
    with within(area("VIEW_3D")):
        bpy.ops.turboportrait.start_backend()
    yield lambda: link.ready and link.health and not link.health.running
    with within(area("VIEW_3D")):
        bpy.ops.turboportrait.register_portrait(filepath=given["portrait"])
    yield lambda: scene.camera is not None
    head = next(thing for thing in scene.objects if thing.turboportrait.is_head)
    neck = head.pose.bones["neck"]
    scene.render.resolution_x = scene.render.resolution_y = 256
    scene.turboportrait.live_size = 256
    measure = {
        "latency": latency,
        "latency_image_editor": latency_image_editor,
        "scrub": scrub,
        "memory": memory,
        "frame_rate": frame_rate,
    }[given["part"]]

    def rested():
        current = session.session_of(scene)
        return current is None or all(stream.idle for stream in current.streams)

    scene.turboportrait.live = True
    yield lambda: session.session_of(scene).streams and rested()
    yield 2.0
    return (yield from measure(scene, neck, rested, profiler))


def latency(scene, neck, rested, profiler):
    """Single changes, a pause after each; the refined view of each, and what the backend took for it.

    Pixels can be taken in only when Blender's main loop turns, which it does not while it redraws its windows: how long
    that takes is measured without the preview, and what passes from the first turn at which they could be taken in.
    """
    alone = yield from redraws_alone(scene, neck)
    yield rested
    yield 1.0

    def turn():
        profiler.write("turn")
        return TURN_SECONDS

    bpy.app.timers.register(turn, persistent=True)
    profiler.log_to(LOG)
    for number in range(given["count"]):
        neck.rotation_euler.y = 0.02 * (number % 20) - 0.2
        yield 0.1
        yield rested
        yield 0.4
    profiler.log_to(None)
    bpy.app.timers.unregister(turn)
    events = [json.loads(line) for line in LOG.open()]
    backend = [event["heads"][0] for event in events if event["event"] == "backend" and len(event["stages"]) == 2]
    turns = [event["t"] for event in events if event["event"] == "turn"]
    result = {"blender_redraws_without_preview_ms": alone}
    for stage, parts in (("raw", ("queue", "raw")), ("refined", ("queue", "raw", "refined"))):
        shown = [event for event in events if event["event"] == stage]
        whole = [event["ms"] for event in shown]
        drawn = [event["ms"] for event in events if event["event"] == f"{stage}_drawn"]
        model = [1000 * sum(timing[part] for part in parts) for timing in backend]
        own = [total - inside for total, inside in zip(whole, model, strict=False)]
        ready = [event["t"] - beyond / 1000 for event, beyond in zip(shown, own, strict=False)]
        first_turns = [next((at for at in turns if at >= since), since) for since in ready]
        after = [max(0.0, 1000 * (event["t"] - at)) for event, at in zip(shown, first_turns, strict=False)]
        result[stage] = {
            "pose_to_pixels_ms": spread(whole),
            "backend_ms": spread(model),
            "beyond_backend_ms": spread(own),
            "beyond_backend_and_redraw_ms": spread(after),
            "pose_to_redraw_ms": spread(drawn),
        }
    result["main_thread_ms"] = {kind: spread([1000 * s for s in profiler.samples[kind]]) for kind in profiler.CALLS}
    result["upload_ms"] = spread([1000 * s for s in profiler.samples["upload"]])
    result["calls_over_5_ms"] = {k: n for k, n in profiler.counts.items() if "over" in k}
    return result


def redraws_alone(scene, neck):
    """Milliseconds from a change of the pose until Blender's main loop turns again, with the preview off."""
    scene.turboportrait.live = False
    yield 2.0
    changed, passed = [], []

    def evaluated(scene, depsgraph):
        changed[:] = [time.perf_counter()]

    def turn():
        if changed:
            passed.append(1000 * (time.perf_counter() - changed.pop()))
        return TURN_SECONDS

    bpy.app.handlers.depsgraph_update_post.append(evaluated)
    bpy.app.timers.register(turn, persistent=True)
    for number in range(given["count"] // 2):
        neck.rotation_euler.y = 0.02 * (number % 20) - 0.2
        yield 1.0
    bpy.app.timers.unregister(turn)
    bpy.app.handlers.depsgraph_update_post.remove(evaluated)
    scene.turboportrait.live = True
    return spread(passed)


def latency_image_editor(scene, neck, rested, profiler):
    """The same with the live image alone in the window: Blender then has no 3D viewport to draw before it goes on."""
    show_image_alone(scene)
    bpy.types.SpaceImageEditor.draw_handler_add(profiler.drawn, (), "WINDOW", "POST_PIXEL")
    yield 1.0
    return (yield from latency(scene, neck, rested, profiler))


def show_image_alone(scene):
    """Have an image editor where the 3D viewport is."""
    editor = area("VIEW_3D")
    editor.type = "IMAGE_EDITOR"
    editor.spaces.active.image = bpy.data.images[inner("scene.camera_image").image_name(scene.camera)]


def scrub(scene, neck, rested, profiler):
    """250 frames as fast as Blender draws them; then what is shown must be the last of them."""
    for frame, turn in ((1, -0.5), (250, 0.5)):
        neck.rotation_euler.y = turn
        neck.keyframe_insert("rotation_euler", frame=frame)
    link = inner("connection.link").link
    most, start = 0, time.monotonic()
    for frame in range(1, 251):
        scene.frame_set(frame)
        most = max(most, link.current.pending)
        yield 0.0
    seconds = time.monotonic() - start
    yield rested
    stream = next(inner("live.session").session_of(scene).streams)
    return {
        "frames": 250,
        "seconds": round(seconds, 2),
        "most_requests_under_way": most,
        "last_shown_is_last_frame": stream.shown == stream.wanted,
    }


def memory(scene, neck, rested, profiler):
    """Resident memory of Blender before and after many previews, in an image editor so that they are made quickly."""
    show_image_alone(scene)
    scene.turboportrait.output = "RAW"
    shown = profiler.counts
    for number in range(100):
        neck.rotation_euler.y = 0.001 * (number % 300)
        yield rested
    before, counted = resident(), shown["asked"]
    end = time.monotonic() + MEMORY_SECONDS
    while shown["asked"] - counted < given["count"] and time.monotonic() < end:
        neck.rotation_euler.y = 0.001 * (shown["asked"] % 300)
        yield 0.0
        yield rested
    return {"previews": shown["asked"] - counted, "growth_mb": round((resident() - before) / 2**20, 1)}


def frame_rate(scene, neck, rested, profiler):
    """Playback as fast as Blender can, with the preview off and on, in turns; frames a second."""
    scene.frame_end = 100
    for frame, turn in ((1, -0.5), (50, 0.5), (100, -0.5)):
        neck.rotation_euler.y = turn
        neck.keyframe_insert("rotation_euler", frame=frame)
    scene.render.fps = 60
    scene.sync_mode = "NONE"
    area("VIEW_3D").spaces.active.region_3d.view_perspective = "CAMERA"
    rates = {"off": [], "on": []}
    for number in range(2 * given["count"]):
        live = bool(number % 2)
        scene.turboportrait.live = live
        yield 1.0
        yield rested
        counted = [0]

        def count(scene, depsgraph=None, counted=counted):
            counted[0] += 1

        bpy.app.handlers.frame_change_post.append(count)
        with within(area("VIEW_3D")):
            bpy.ops.screen.animation_play()
        start = time.monotonic()
        yield 5.0
        rates["on" if live else "off"].append(counted[0] / (time.monotonic() - start))
        with within(area("VIEW_3D")):
            bpy.ops.screen.animation_play()
        bpy.app.handlers.frame_change_post.remove(count)
    off, on = (statistics.median(rates[key]) for key in ("off", "on"))
    return {"off_per_second": round(off, 1), "on_per_second": round(on, 1), "ratio": round(on / off, 3)}


def resident() -> int:
    """Bytes of this process's memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def spread(values) -> dict[str, float]:
    """Median, 95th percentile and longest, to a tenth."""
    values = sorted(values)
    if not values:
        return {}
    at = lambda share: round(values[min(int(share * len(values)), len(values) - 1)], 1)  # noqa: E731
    return {"p50": at(0.5), "p95": at(0.95), "max": at(1.0), "n": len(values)}


play(scenario(), Path(given["report"]))
