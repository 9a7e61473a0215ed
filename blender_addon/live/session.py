"""The live preview of a scene: its cameras' images follow the heads and the cameras.

Handlers read the scene when Blender has evaluated it; a timer talks to the backend and uploads what has arrived. So the
main thread never waits, and a picture never shows a half evaluated scene.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import bpy
from bpy.app.handlers import persistent

from backend.client import TurboPortraitError

from ..connection.link import link
from ..connection.requests import register_again
from ..scene import compositing, head_requests
from ..scene.camera import render_size
from ..scene.camera_image import update_image
from ..scene.handlers import register_handlers_factory
from ..scene.head_requests import HeadRequest
from ..scene.render_options import RenderOptions
from . import card, viewport
from .motion import SharedMotion
from .profiler import profiler
from .stream import LivePicture, Snapshot, Stream

BUSY_SECONDS, IDLE_SECONDS = 0.002, 0.1
RECONNECT_SECONDS = 3.0
shared_motion = SharedMotion()
"""Of all scenes and viewports: one user moves them all."""


class Session:
    """One scene's live cameras.

    Attributes:
        problem: a line on why the scene can't be previewed, empty if it can.
    """

    def __init__(self) -> None:
        self.problem = ""
        self._streams: dict[tuple[str, ...], Stream] = {}

    @property
    def streams(self) -> Iterator[Stream]:
        """One per group of cameras that are refined together."""
        return iter(self._streams.values())

    def observe(self, scene: bpy.types.Scene, depsgraph: bpy.types.Depsgraph, now: float) -> None:
        """Read what the cameras see now, and ask for it at once: the redraw that follows may take its time."""
        groups = {tuple(camera.name for camera in group): group for group in camera_groups(scene)}
        self._streams = {
            names: self._streams.get(names) or Stream(profiler, recover, shared_motion) for names in groups
        }
        self.problem = "" if groups else "The scene has no camera: add one or make one active"
        for names, cameras in groups.items():
            try:
                snapshot = _snapshot(scene, depsgraph, cameras)
            except ValueError as error:
                self.problem, snapshot = str(error), None
            else:
                if snapshot is None:
                    self.problem = "No visible head has a portrait: register one"
            if self._streams[names].offer(snapshot, now):
                profiler.count("changed")
                ask(self._streams[names], now)

    def advance(self, client, now: float) -> None:
        """Ask for what is new, show what has arrived."""
        for names, stream in self._streams.items():
            for picture in stream.advance(client, now):
                for number, name in enumerate(names):
                    camera = bpy.data.objects.get(name)
                    if camera is not None:
                        _show(camera, picture, number)
                profiler.shown(picture.stage, picture.changed_at)


def camera_groups(scene: bpy.types.Scene) -> list[list[bpy.types.Object]]:
    """The live cameras, grouped by what is refined together: the active one, and those marked as live."""
    cameras = [scene.camera] if scene.camera and scene.camera.type == "CAMERA" else []
    cameras += [
        thing
        for thing in bpy.data.objects  # The scene's own list takes longer to go through.
        if thing.type == "CAMERA"
        and thing.turboportrait.live
        and thing not in cameras
        and scene.objects.get(thing.name) == thing
    ]
    return [cameras] if cameras and scene.turboportrait.joint else [[camera] for camera in cameras]


def ask(stream: Stream, now: float) -> None:
    """Have a stream ask the backend, if that is the one that the timer knows."""
    if _client is not None and link.current is _client:
        stream.ask(_client, now)


def recover(stream: Stream, head: HeadRequest, reason: TurboPortraitError) -> None:
    """Have the timer register a head's portrait again, then let the stream go on."""

    def registering():
        client = yield from link.client()
        yield from register_again(client, head, reason)

    link.spawn(registering(), lambda _: stream.recovered(), stream.recovered)


def _snapshot(
    scene: bpy.types.Scene, depsgraph: bpy.types.Depsgraph, cameras: list[bpy.types.Object]
) -> Snapshot | None:
    viewpoints = [head_requests.camera_viewpoint(camera, scene.render, depsgraph, whole=True) for camera in cameras]
    heads = head_requests.heads_seen_from(depsgraph, viewpoints)
    if not heads:
        return None
    scale = min(1.0, scene.turboportrait.live_size / max(render_size(scene.render)))
    return Snapshot(tuple(heads), RenderOptions.of(scene, priority="live")).scaled(scale)


def _show(camera: bpy.types.Object, picture: LivePicture, number: int) -> None:
    pixels = compositing.flatten(picture.views[number], picture.scales[number])
    with profiler.upload():
        image = update_image(camera, pixels)
    card.follow(camera)
    if image.users:
        image.update_tag()
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "IMAGE_EDITOR" and area.spaces.active.image == image:
                area.tag_redraw()


# One preview for the whole of Blender: sessions by scene, one client, one timer.

_sessions: dict[int, Session] = {}
_client = None
_retry_at = 0.0
_paused = False


def session_of(scene: bpy.types.Scene) -> Session | None:
    """The scene's session; None while its live preview is off."""
    return _sessions.get(scene.session_uid)


def switch(scene: bpy.types.Scene) -> None:
    """Begin or end a scene's live preview, as its property says."""
    if not scene.turboportrait.live:
        _sessions.pop(scene.session_uid, None)
        return
    _sessions.setdefault(scene.session_uid, Session())
    scene.update_tag()
    wake()


def retry() -> None:
    """Ask again for what the backend has refused."""
    for stream in _streams():
        stream.retry()


def hold() -> None:
    """Let no picture into the cameras' images until `release`: a render reads them."""
    global _paused
    _paused = True


def release() -> None:
    """Go on; the images show what a render has left there, so ask for everything again."""
    global _paused
    _paused = False
    for session in _sessions.values():
        for stream in session.streams:
            stream.forget()
    if _sessions:
        wake()


def _streams() -> list[Stream]:
    streams = [stream for session in _sessions.values() for stream in session.streams]
    return streams + [view.stream for view in viewport.live_views()]


def wake() -> None:
    """See to it that the timer runs."""
    global _retry_at
    _retry_at = 0.0
    if not bpy.app.timers.is_registered(tick):
        bpy.app.timers.register(tick, persistent=True)


def tick() -> float | None:
    """One turn of the timer: seconds to the next; None when no scene and no viewport is live."""
    global _client, _retry_at
    if not _sessions and not viewport.live_views():
        return None
    with profiler.call("timer"):
        link.poll()
        now = time.perf_counter()
        streams = _streams()
        if not link.ready:
            if not link.busy and now > _retry_at:
                _retry_at = now + RECONNECT_SECONDS
                link.spawn(link.client(), lambda client: link.say("The backend is ready"))
            return IDLE_SECONDS
        if link.current is not _client:
            _client = link.current
            for stream in streams:
                stream.forget()
        if _client is None:
            return IDLE_SECONDS
        for session in () if _paused else _sessions.values():
            session.advance(_client, now)
        viewport.advance(_client, now)
    if all(stream.idle for stream in streams):
        profiler.flush()
        return IDLE_SECONDS
    return BUSY_SECONDS


@persistent
def _evaluated(scene: bpy.types.Scene, depsgraph: bpy.types.Depsgraph | None = None) -> None:
    # A render evaluates frames of its own, in a thread of its own.
    session = _sessions.get(scene.session_uid)
    if session is None or depsgraph is None or depsgraph.mode != "VIEWPORT":
        return
    with profiler.call("handler"):
        session.observe(scene, depsgraph, time.perf_counter())
    if not all(stream.idle for stream in session.streams):
        _hurry()


def _hurry() -> None:
    """Have the next turn of the timer now rather than at the end of an idle pause."""
    if bpy.app.timers.is_registered(tick):
        bpy.app.timers.unregister(tick)
    bpy.app.timers.register(tick, persistent=True)


@persistent
def _loaded(*_: object) -> None:
    """Another file, or the extension is there again: its scenes' previews begin as they were left."""
    _sessions.clear()
    for scene in bpy.data.scenes:
        if scene.turboportrait.live:
            switch(scene)


HANDLERS = {
    "depsgraph_update_post": _evaluated,
    "frame_change_post": _evaluated,
    "load_post": _loaded,
}
_register_handlers, _unregister_handlers = register_handlers_factory(HANDLERS)


def register() -> None:
    _register_handlers()
    # While Blender registers an extension it shows it no scenes.
    bpy.app.timers.register(_loaded)


def unregister() -> None:
    _unregister_handlers()
    for timer in (tick, _loaded):
        if bpy.app.timers.is_registered(timer):
            bpy.app.timers.unregister(timer)
    _sessions.clear()
