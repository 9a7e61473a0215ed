"""One picture of what the active camera sees now, for its image."""

from __future__ import annotations

import bpy

from backend.protocol.pictures import straight_bytes

from ..connection.link import link
from ..connection.requests import render_heads
from ..connection.tasks import Task
from ..scene.camera import render_size
from ..scene.compositing import composite
from ..scene.head_requests import HeadRequest, head_requests
from ..scene.render_options import RenderOptions


def request_view(context: bpy.types.Context) -> tuple[list[HeadRequest], RenderOptions, int, int]:
    """What the active camera sees now, for `render_view`; errors as `head_requests`."""
    scene = context.scene
    heads = head_requests(context.evaluated_depsgraph_get(), scene, whole=True)
    return heads, RenderOptions.of(scene, priority="live"), *render_size(scene.render)


def render_view(heads: list[HeadRequest], options: RenderOptions, width: int, height: int) -> Task:
    """A task whose result is one picture (H, W, 4) uint8 sRGB, straight alpha, of all heads."""
    client = yield from link.client()
    views = [seen[0] for seen in (yield from render_heads(client, heads, options))]
    if len(views) == 1:
        return views[0].rgba
    color, _ = composite(views, [head.view.scale for head in heads], width, height)
    return straight_bytes(color)
