"""The Rendered viewport of the engine: the heads as the viewport sees them, drawn by the gpu module."""

from __future__ import annotations

import time
import weakref

import blf
import bpy
import gpu
from gpu_extras.presets import draw_texture_2d

from backend.client import Client
from backend.protocol.pictures import premultiplied

from ..scene import compositing, head_requests
from ..scene.camera import view_from_viewport
from ..scene.render_options import RenderOptions
from .motion import SharedMotion
from .profiler import profiler
from .stream import LivePicture, Recover, Snapshot, Stream

FONT = 0
MARGIN, TEXT_SIZE = 24, 14


class ViewportView:
    """What one Rendered viewport shows; made by its engine and gone with it."""

    def __init__(self, recover: Recover, shared: SharedMotion) -> None:
        self.stream = Stream(profiler, recover, shared, adaptive=True)
        self.picture: LivePicture | None = None
        self._texture: gpu.types.GPUTexture | None = None
        self.problem = ""
        _views.add(self)

    def observe(self, context: bpy.types.Context, depsgraph: bpy.types.Depsgraph, options: RenderOptions) -> None:
        """Read what the region sees now."""
        region, view = context.region, context.region_data
        self.problem = ""
        try:
            heads = head_requests.heads_seen_from(depsgraph, [lambda place: view_from_viewport(region, view, place)])
        except ValueError as error:
            self.problem, heads = str(error), []
        else:
            if not heads:
                self.problem = "No visible head has a portrait: register one in the TurboPortrait panel"
        self.stream.offer(Snapshot(tuple(heads), options) if heads else None, time.perf_counter())

    def draw(self, engine: bpy.types.RenderEngine, context: bpy.types.Context, line: str) -> None:
        """Draw the newest picture over the world's colour, and a line on what is missing."""
        region, scene = context.region, context.scene
        if self.picture is not None:
            with profiler.upload():
                self._texture = _texture(self.picture)
            profiler.shown(self.picture.stage, self.picture.changed_at)
            self.picture = None
        background = compositing.world_color(scene)
        if background[3]:
            gpu.state.active_framebuffer_get().clear(color=tuple(map(float, background)))
        if self._texture is not None and not self.problem:
            gpu.state.blend_set("ALPHA_PREMULT")
            draw_texture_2d(self._texture, (0, 0), region.width, region.height)
            gpu.state.blend_set("NONE")
        if self.problem or line:
            _write(self.problem or line)


_views: weakref.WeakSet[ViewportView] = weakref.WeakSet()


def live_views() -> list[ViewportView]:
    """Those of all Rendered viewports."""
    return list(_views)


def advance(client: Client, now: float) -> None:
    """Ask for what is new; have viewports redrawn for which something has come."""
    come = False
    for view in _views:
        for picture in view.stream.advance(client, now):
            view.picture = picture
            come = True
    if come:
        redraw()


def redraw() -> None:
    """Have every Rendered viewport drawn anew."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "VIEW_3D" and area.spaces.active.shading.type == "RENDERED":
                area.tag_redraw()


def _texture(picture: LivePicture) -> gpu.types.GPUTexture:
    """The picture as Blender's viewport wants it: scene linear and premultiplied; its view transform comes after."""
    pixels = premultiplied(compositing.flatten(picture.views[0], picture.scales[0])[::-1])
    height, width = pixels.shape[:2]
    buffer = gpu.types.Buffer("FLOAT", pixels.size, pixels.ravel())
    return gpu.types.GPUTexture((width, height), format="RGBA16F", data=buffer)


def _write(text: str) -> None:
    blf.size(FONT, TEXT_SIZE * bpy.context.preferences.system.ui_scale)
    blf.color(FONT, 0.9, 0.9, 0.9, 1.0)
    blf.position(FONT, MARGIN, MARGIN, 0)
    blf.draw(FONT, text)
