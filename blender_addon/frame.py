"""One frame: the heads that a camera sees, as requests, and their views put together by depth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import bpy
import numpy as np
from mathutils import Matrix

from backend.protocol import pictures
from backend.protocol.messages import ViewPixels
from backend.protocol.pictures import NO_DEPTH

from .camera import HeadView, view_of_head
from .head import visible_heads
from .parameters import head_parameters
from .steps import HeadRequest
from .texture import texture_of, texture_pixels, texture_sha256

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
                face=properties.portrait_face,
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
    if not views:
        return np.zeros((height, width, 4), np.float32), np.full((height, width), NO_DEPTH, np.float32)
    return pictures.composite([view.rgba for view in views], _scaled(views, scales))[:2]


def world_color(scene: bpy.types.Scene) -> np.ndarray:
    """(4,) linear, premultiplied: what lies behind the heads; clear where the film is transparent."""
    if scene.render.film_transparent or scene.world is None:
        return np.zeros(4, np.float32)
    tree = scene.world.node_tree
    node = next((node for node in tree.nodes if node.type == "BACKGROUND"), None) if tree else None
    color = scene.world.color if node is None else node.inputs["Color"].default_value
    strength = 1.0 if node is None else node.inputs["Strength"].default_value
    return np.array([*(strength * channel for channel in color[:3]), 1.0], np.float32)


def flatten(views: Sequence[ViewPixels], scales: Sequence[float]) -> np.ndarray:
    """Views over each other as (H, W, 4) uint8 sRGB, straight alpha, fast enough for the live preview."""
    if len(views) == 1:
        return views[0].rgba
    return pictures.flatten([view.rgba for view in views], _scaled(views, scales))


def _scaled(views: Sequence[ViewPixels], scales: Sequence[float]) -> list[np.ndarray]:
    return [view.depth * np.float32(scale) for view, scale in zip(views, scales, strict=True)]
