"""One frame: the heads that a camera sees, as requests, and their views put together by depth."""

from __future__ import annotations

from collections.abc import Sequence

import bpy
import numpy as np

from backend.protocol.messages import ViewPixels

from .camera import view_of_head
from .head import visible_heads
from .parameters import head_parameters
from .steps import HeadRequest

NO_DEPTH = 1e10
"""Depth where nothing is, as Blender's other engines write it."""
_LEVELS = np.arange(256, dtype=np.float32) / 255
TO_LINEAR = np.where(_LEVELS <= 0.04045, _LEVELS / 12.92, ((_LEVELS + 0.055) / 1.055) ** 2.4).astype(np.float32)
"""sRGB byte to linear float (IEC 61966-2-1)."""


def head_requests(
    depsgraph: bpy.types.Depsgraph, scene: bpy.types.Scene, camera: bpy.types.Object | None = None
) -> list[HeadRequest]:
    """Every visible head with a portrait as a camera sees it, by default the scene's.

    Raises:
        CameraError: see `view_of_head`; the message names the head.
        ValueError: a head's bones or mesh are missing.
    """
    requests = []
    for head in visible_heads(depsgraph):
        properties = head.turboportrait
        if not properties.avatar_id:
            continue
        try:
            place = head.evaluated_get(depsgraph).matrix_world
            view = view_of_head(camera or scene.camera, place, scene.render, depsgraph)
        except ValueError as error:
            raise type(error)(f"{head.name}: {error}") from None
        requests.append(
            HeadRequest(
                name=head.name,
                avatar=properties.avatar_id,
                maker=properties.maker,
                head_model=properties.head_model,
                portrait=portrait_bytes(head),
                parameters=head_parameters(head, depsgraph),
                view=view,
            )
        )
    return requests


def portrait_bytes(head: bpy.types.Object) -> bytes:
    """The portrait file as it was registered, from the .blend itself; empty if the user removed it."""
    image = head.turboportrait.portrait
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
    layers = np.stack([_premultiplied(view.rgba) for view in views])
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


def _premultiplied(rgba: np.ndarray) -> np.ndarray:
    color = TO_LINEAR[rgba]
    color[..., 3] = rgba[..., 3] * np.float32(1 / 255)
    color[..., :3] *= color[..., 3:]
    return color


def to_bytes(color: np.ndarray) -> np.ndarray:
    """Linear premultiplied (H, W, 4) float32 as sRGB bytes with straight alpha."""
    alpha = color[..., 3:]
    linear = np.clip(color[..., :3] / np.maximum(alpha, 1e-6), 0, 1)
    encoded = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.rint(np.concatenate([encoded, np.clip(alpha, 0, 1)], -1) * 255).astype(np.uint8)
