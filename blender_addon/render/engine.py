"""The render engine: F12, Ctrl+F12, `blender -b FILE -E TURBOPORTRAIT3D -a` and farms get the backend's views."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import bpy
import numpy as np
from bpy.app.translations import pgettext_rpt as rpt_

from backend.client import TurboPortraitError
from backend.protocol.pictures import over

from ..connection import preferences
from ..connection.connect import START_SECONDS, connect
from ..connection.link import link, message_of
from ..connection.requests import render_heads
from ..connection.tasks import Task, complete
from ..live import session
from ..live.meter import meter
from ..live.viewport import ViewportView
from ..scene import compositing, head_requests
from ..scene.camera import render_window
from ..scene.head_requests import HeadRequest
from ..scene.render_options import RenderOptions

DISABLED = "The TurboPortrait3D extension was disabled during the render: enable it and render again"
GIVE_UP_SECONDS = 2.0
_leaving = threading.Event()
"""The extension is disabled: a render that is going on in its thread gives up."""
_at_work = threading.Lock()


class TurboPortraitEngine(bpy.types.RenderEngine):
    """Thin: what is rendered is in `head_requests`, how the backend is asked in `connection.requests`."""

    bl_idname = "TURBOPORTRAIT3D"
    bl_label = "TurboPortrait3D"
    bl_use_preview = False
    bl_use_eevee_viewport = True
    bl_use_shading_nodes_custom = False

    def render(self, depsgraph: bpy.types.Depsgraph) -> None:
        """Render one frame of one view layer; a failure is an error report, never a hang."""
        with _at_work:
            try:
                if not _leaving.is_set():
                    self._write(depsgraph, *self._picture(depsgraph))
            except TurboPortraitError as error:
                if error.code != "cancelled":
                    self._fail(error)
            except ValueError as error:
                self._fail(error)
            if _leaving.is_set():
                self._fail(ValueError(rpt_(DISABLED)))

    def _picture(self, depsgraph: bpy.types.Depsgraph) -> tuple[np.ndarray, np.ndarray]:
        """The window's colour (H, W, 4), linear and premultiplied, and depth (H, W)."""
        scene = depsgraph.scene
        others = joint_cameras(scene) if scene.turboportrait.joint else []
        heads = head_requests.head_requests(depsgraph, scene, others=others)
        if not heads:
            self.report({"WARNING"}, "The scene shows no head with a portrait: register one in the TurboPortrait panel")
        _, _, width, height = render_window(scene.render)
        wanted = preferences.connection()
        views = []
        if heads:
            task = render_in_thread(wanted, heads, RenderOptions.of(scene), lambda line: self.report({"WARNING"}, line))
            timeout = wanted.timeout * len(heads) + START_SECONDS
            views = complete(task, timeout, interrupted=self._unwanted, report=self._say)
        color, depth = compositing.composite(views, [head.view.scale for head in heads], width, height)
        return over(color, compositing.world_color(scene)), depth

    def _write(self, depsgraph: bpy.types.Depsgraph, color: np.ndarray, depth: np.ndarray) -> None:
        height, width = depth.shape
        layer = depsgraph.view_layer_eval
        if layer.use_pass_z:
            self.add_pass("Depth", 1, "Z", layer=layer.name)
        result = self.begin_result(0, 0, width, height, layer=layer.name)
        passes = result.layers[0].passes
        # Blender's rows go up.
        passes["Combined"].rect.foreach_set(np.ascontiguousarray(color[::-1]).ravel())
        if layer.use_pass_z:
            passes["Depth"].rect.foreach_set(np.ascontiguousarray(depth[::-1]).ravel())
        self.end_result(result)

    def update_render_passes(self, scene: bpy.types.Scene, renderlayer: bpy.types.ViewLayer) -> None:
        """Offer the compositor what is written."""
        self.register_pass(scene, renderlayer, "Combined", 4, "RGBA", "COLOR")
        if renderlayer.use_pass_z:
            self.register_pass(scene, renderlayer, "Depth", 1, "Z", "VALUE")

    def view_update(self, context: bpy.types.Context, depsgraph: bpy.types.Depsgraph) -> None:
        """The scene has changed: the redraw that follows reads it."""

    def view_draw(self, context: bpy.types.Context, depsgraph: bpy.types.Depsgraph) -> None:
        """Draw what the backend has sent, and let it know what the viewport sees now."""
        if _leaving.is_set():
            return
        view = getattr(self, "_view", None)
        if view is None:
            view = self._view = ViewportView(session.recover, session.shared_motion)
            session.wake()
        with meter.call("draw"):
            view.observe(context, depsgraph, RenderOptions.of(context.scene, priority="live"))
            session.ask(view.stream, time.perf_counter())
            line = "" if link.ready else link.message or "Connecting to the backend"
            view.draw(self, context, line)

    def _unwanted(self) -> bool:
        return _leaving.is_set() or self.test_break()

    def _say(self, line: str) -> None:
        self.update_stats("TurboPortrait3D", line)

    def _fail(self, error: Exception) -> None:
        # The report is the operator's error, for scripts and farms; the other is shown in the render window.
        self.report({"ERROR"}, message_of(error))
        self.error_set(message_of(error))


def render_in_thread(
    wanted: preferences.Connection, heads: list[HeadRequest], options: RenderOptions, warn: Callable[[str], None]
) -> Task:
    """A task whose result is the heads' views, over a connection of its own: a socket belongs to one thread."""
    client = yield from connect("Blender render", wanted)
    try:
        task = render_heads(client, heads, options, warn)
        while True:
            try:
                line = next(task)
            except StopIteration as end:
                return end.value
            yield line
            client.poll()
    finally:
        client.close()


def joint_cameras(scene: bpy.types.Scene) -> list[bpy.types.Object]:
    """The cameras beside the active one whose views are refined together with its own."""
    groups = session.camera_groups(scene)
    return groups[0][1:] if groups else []


def register() -> None:
    _leaving.clear()
    if bpy.app.timers.is_registered(_unregister_after_the_render):
        bpy.app.timers.unregister(_unregister_after_the_render)
    if not TurboPortraitEngine.is_registered:
        bpy.utils.register_class(TurboPortraitEngine)


def unregister() -> None:
    """Let a render's thread give up, then let the class go; Blender crashes if it goes before its render does."""
    _leaving.set()
    if _at_work.acquire(timeout=GIVE_UP_SECONDS):
        _at_work.release()
    if _unregister_after_the_render() is not None:
        bpy.app.timers.register(_unregister_after_the_render, persistent=True)


def _unregister_after_the_render() -> float | None:
    if bpy.app.is_job_running("RENDER"):
        return 0.1
    bpy.utils.unregister_class(TurboPortraitEngine)
    return None
