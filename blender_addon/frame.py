"""One frame: the heads that a camera sees, as requests, and their views put together by depth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import bpy
import numpy as np
from mathutils import Matrix

from backend.protocol.messages import ViewPixels

from .camera import HeadView, view_of_head
from .head import visible_heads
from .parameters import head_parameters
from .srgb import TO_LINEAR, encoded
from .steps import HeadRequest
from .texture import texture_of, texture_pixels, texture_sha256

NO_DEPTH = 1e10
"""Depth where nothing is, as Blender's other engines write it."""

Sight = Callable[[Matrix], HeadView]
"""What sees heads: gives the camera over head space for a head object's world matrix, or raises CameraError."""


def head_requests(
    depsgraph: bpy.types.Depsgraph,
    scene: bpy.types.Scene,
    camera: bpy.types.Object | None = None,
    others: Sequence[bpy.types.Object] = (),
    whole: bool = False,
) -> list[HeadRequest]:
    """Every visible head with a portrait as a camera sees it, by default the scene's.

    Args:
        others: cameras whose views are refined together with the first.
        whole: have the whole frame, whatever the render border.

    Raises:
        CameraError: see `view_of_head`; the message names the head.
        ValueError: a head's bones or mesh are missing.
    """
    cameras = [camera or scene.camera, *others]
    sights = [camera_sight(each, scene.render, depsgraph, whole) for each in cameras]
    return heads_in_sight(depsgraph, sights, now=True)


def camera_sight(
    camera: bpy.types.Object, render: bpy.types.RenderSettings, depsgraph: bpy.types.Depsgraph, whole: bool = False
) -> Sight:
    """What a camera sees in a render; see `view_of_head`."""
    return lambda head_matrix: view_of_head(camera, head_matrix, render, depsgraph, whole)


def heads_in_sight(depsgraph: bpy.types.Depsgraph, sights: Sequence[Sight], now: bool = False) -> list[HeadRequest]:
    """Every visible head with a portrait, with one view per sight; errors as `head_requests`.

    Args:
        now: with what is being painted on it, see `texture_sha256`.
    """
    requests = []
    for head in visible_heads(depsgraph):
        properties = head.turboportrait
        if not properties.avatar_id:
            continue
        try:
            place = head.evaluated_get(depsgraph).matrix_world
            views = tuple(sight(place) for sight in sights)
        except ValueError as error:
            raise type(error)(f"{head.name}: {error}") from None
        image, painted = texture_of(head), texture_sha256(head, now)
        requests.append(
            HeadRequest(
                name=head.name,
                avatar=properties.avatar_id if painted == properties.texture_sha256 else "",
                maker=properties.maker,
                head_model=properties.head_model,
                portrait_sha256=properties.portrait_sha256,
                portrait=partial(portrait_bytes, properties.portrait.name if properties.portrait else ""),
                parameters=head_parameters(head, depsgraph),
                views=views,
                texture_sha256=painted,
                texture=partial(texture_pixels, image.name if image else ""),
            )
        )
    return requests


def portrait_bytes(image_name: str) -> bytes:
    """The portrait file as it was registered, from the .blend itself; empty if the user removed it."""
    image = bpy.data.images.get(image_name)
    return bytes(image.packed_file.data) if image and image.packed_file else b""


def composite(
    views: Sequence[ViewPixels], scales: Sequence[float], width: int, height: int
) -> tuple[np.ndarray, np.ndarray]:
    """Put views over each other, the nearest on top at each pixel.

    Args:
        views: straight alpha sRGB bytes with depth, all (height, width).
        scales: Blender units per metre, per view.

    Returns:
        (H, W, 4) float32, linear, premultiplied; (H, W) float32 depth in Blender units, NO_DEPTH where nothing is.
    """
    color = np.zeros((height, width, 4), np.float32)
    if not views:
        return color, np.full((height, width), NO_DEPTH, np.float32)
    layers = np.stack([premultiplied(view.rgba) for view in views])
    depths = np.stack([np.nan_to_num(v.depth * s, posinf=NO_DEPTH) for v, s in zip(views, scales, strict=True)])
    for layer in np.argsort(-depths, axis=0, kind="stable"):
        top = np.take_along_axis(layers, layer[None, ..., None], axis=0)[0]
        color = top + color * (1 - top[..., 3:])
    return color, np.minimum(depths.min(0), NO_DEPTH).astype(np.float32)


def world_color(scene: bpy.types.Scene) -> np.ndarray:
    """(4,) linear, premultiplied: what lies behind the heads; clear where the film is transparent."""
    if scene.render.film_transparent or scene.world is None:
        return np.zeros(4, np.float32)
    tree = scene.world.node_tree
    node = next((node for node in tree.nodes if node.type == "BACKGROUND"), None) if tree else None
    color = scene.world.color if node is None else node.inputs["Color"].default_value
    strength = 1.0 if node is None else node.inputs["Strength"].default_value
    return np.array([*(strength * channel for channel in color[:3]), 1.0], np.float32)


def over(color: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Premultiplied colour (H, W, 4) over a premultiplied colour (4,)."""
    return color + background * (1 - color[..., 3:])


def premultiplied(rgba: np.ndarray) -> np.ndarray:
    """sRGB bytes with straight alpha (..., 4) as linear, premultiplied float32."""
    color = np.take(TO_LINEAR, rgba, mode="clip")
    color[..., 3] = rgba[..., 3] * np.float32(1 / 255)
    color[..., :3] *= color[..., 3:]
    return color


def to_bytes(color: np.ndarray) -> np.ndarray:
    """Linear premultiplied (H, W, 4) float32 as sRGB bytes with straight alpha."""
    alpha = color[..., 3:]
    shown = encoded(color[..., :3] / np.maximum(alpha, 1e-6))
    return np.rint(np.concatenate([shown, np.clip(alpha, 0, 1)], -1) * 255).astype(np.uint8)


def flatten(views: Sequence[ViewPixels], scales: Sequence[float]) -> np.ndarray:
    """Views over each other as (H, W, 4) uint8 sRGB, straight alpha: as `composite`, fast enough for the live preview.

    Only pixels where a half transparent one lies before another are blended; of several such layers, two at a time.
    """
    pixels, depth = views[0].rgba, views[0].depth
    for view, scale in zip(views[1:], scales[1:], strict=True):
        if depth is views[0].depth:
            depth = depth * np.float32(scales[0])
        other, other_depth = view.rgba, view.depth * np.float32(scale)
        nearer = other_depth < depth
        words, other_words = (np.ascontiguousarray(p).view(np.uint32)[..., 0] for p in (pixels, other))
        top, bottom = np.where(nearer, other_words, words), np.where(nearer, words, other_words)
        alpha_top, alpha_bottom = (np.ascontiguousarray(p)[..., None].view(np.uint8)[..., 3] for p in (top, bottom))
        seen_through = np.nonzero((alpha_top < 255) & (alpha_bottom > 0))
        pixels = top[..., None].view(np.uint8)
        if len(seen_through[0]):
            front = premultiplied(pixels[seen_through])
            back = premultiplied(bottom[..., None].view(np.uint8)[seen_through])
            pixels[seen_through] = to_bytes(front + back * (1 - front[..., 3:]))
        depth = np.minimum(depth, other_depth)
    return pixels
