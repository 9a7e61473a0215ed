"""The render engine: F12, Ctrl+F12, `blender -b FILE -E TURBOPORTRAIT3D -a` and farms get the backend's views."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import bpy
import numpy as np
from bpy.app.handlers import persistent
from bpy.app.translations import pgettext_rpt as rpt_

from backend.client import TurboPortraitError
from backend.protocol.messages import ViewPixels
from backend.protocol.pictures import over

from ..connection import preferences
from ..connection.connect import START_SECONDS, connect
from ..connection.link import link, message_of
from ..connection.requests import render_heads
from ..connection.tasks import Task, complete
from ..live import session
from ..live.profiler import profiler
from ..live.viewport import ViewportView
from ..scene.camera import render_window
from ..scene.compositing import world_color
from ..scene.handlers import register_handlers_factory
from ..scene.head_requests import HeadRequest
from ..scene.render_options import RenderOptions
from ..scene.unsupported import unsupported_in_scene
from .frame import RenderHeads, frame_requests, pictures
from .stereo import rendered_views

DISABLED = "The TurboPortrait3D extension was disabled during the render: enable it and render again"
GIVE_UP_SECONDS = 2.0
_leaving = threading.Event()
"""The extension is disabled: a render that is going on in its thread gives up."""
_at_work = threading.Lock()
NO_BACKEND = ("backend_unreachable", "backend_not_started", "protocol_version", "bad_address")
"""Errors that every frame would have."""
_failed_frames: list[int] = []
"""Of the animation that is being rendered or was last."""


class TurboPortraitEngine(bpy.types.RenderEngine):
    """Thin: what is rendered is in `frame`, how the backend is asked in `connection.requests`."""

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
                    self._render(depsgraph)
            except TurboPortraitError as error:
                if error.code != "cancelled":
                    self._fail(depsgraph, error)
            except ValueError as error:
                self._fail(depsgraph, error)
            if _leaving.is_set():
                self._end(ValueError(rpt_(DISABLED)))

    def _render(self, depsgraph: bpy.types.Depsgraph) -> None:
        scene = depsgraph.scene
        views = [view.name for view in rendered_views(scene.render)]
        requests = frame_requests(self, depsgraph, views)
        if not any(requests):
            self.report({"WARNING"}, "The scene shows no head with a portrait: register one in the TurboPortrait panel")
        for line in unsupported_in_scene(depsgraph, scene.camera):
            self._warn(line)
        _, _, width, height = render_window(scene.render)
        for view, (color, depth) in zip(
            views, pictures(requests, self._heads(scene), len(views), width, height), strict=True
        ):
            self._write(depsgraph, view, over(color, world_color(scene)), depth)

    def _heads(self, scene: bpy.types.Scene) -> RenderHeads:
        wanted, options = preferences.connection(), RenderOptions.of(scene)

        def render(heads: list[HeadRequest]) -> list[list[ViewPixels]]:
            task = render_in_thread(wanted, heads, options, self._warn)
            timeout = wanted.timeout * len(heads) + START_SECONDS
            return complete(task, timeout, interrupted=self._unwanted, report=self._say)

        return render

    def _write(self, depsgraph: bpy.types.Depsgraph, view: str, color: np.ndarray, depth: np.ndarray) -> None:
        height, width = depth.shape
        layer = depsgraph.view_layer_eval
        if layer.use_pass_z:
            self.add_pass("Depth", 1, "Z", layer=layer.name)
        result = self.begin_result(0, 0, width, height, layer=layer.name, view=view)
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
        with profiler.call("draw"):
            view.observe(context, depsgraph, RenderOptions.of(context.scene, priority="live"))
            session.ask(view.stream, time.perf_counter())
            line = "" if link.ready else link.message or "Connecting to the backend"
            view.draw(self, context, line)

    def _unwanted(self) -> bool:
        return _leaving.is_set() or self.test_break()

    def _say(self, line: str) -> None:
        self.update_stats("TurboPortrait3D", line)

    def _warn(self, line: str) -> None:
        self.report({"WARNING"}, line)

    def _fail(self, depsgraph: bpy.types.Depsgraph, error: Exception) -> None:
        """A frame of an animation that fails is named, and the others are rendered; nothing else goes on."""
        if not self.is_animation or getattr(error, "code", "") in NO_BACKEND:
            self._end(error)
            return
        frame = depsgraph.scene.frame_current
        _failed_frames.append(frame)
        said = rpt_("Frame {frame} could not be rendered. {reason}")
        # An error's report would end the animation.
        self._warn(said.format(frame=frame, reason=message_of(error)))

    def _end(self, error: Exception) -> None:
        # The report is the operator's error, for scripts and farms; the other is shown in the render window.
        self.report({"ERROR"}, message_of(error))
        self.error_set(message_of(error))


def render_in_thread(
    wanted: preferences.ConnectionSettings,
    heads: list[HeadRequest],
    options: RenderOptions,
    warn: Callable[[str], None],
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


@persistent
def _render_begins(*_: object) -> None:
    _failed_frames.clear()


@persistent
def _render_ended(*_: object) -> None:
    """Say all frames together that an animation has missed."""
    if _failed_frames:
        frames = ", ".join(map(str, _failed_frames))
        link.say(rpt_("Frames that could not be rendered: {frames}").format(frames=frames), failed=True)


HANDLERS = {"render_init": _render_begins, "render_complete": _render_ended, "render_cancel": _render_ended}
_register_handlers, _unregister_handlers = register_handlers_factory(HANDLERS)


def register() -> None:
    _register_handlers()
    _leaving.clear()
    if bpy.app.timers.is_registered(_unregister_after_the_render):
        bpy.app.timers.unregister(_unregister_after_the_render)
    if not TurboPortraitEngine.is_registered:
        bpy.utils.register_class(TurboPortraitEngine)


def unregister() -> None:
    """Let a render's thread give up, then let the class go; Blender crashes if it goes before its render does."""
    _unregister_handlers()
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
