"""Heads over each other by depth, and what lies behind them."""

from __future__ import annotations

from collections.abc import Sequence

import bpy
import numpy as np

from backend.protocol import pictures
from backend.protocol.messages import ViewPixels
from backend.protocol.pictures import NO_DEPTH


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
    # A view that was asked for without its depth is behind all others.
    return [
        np.full(view.rgba.shape[:2], np.inf, np.float32) if view.depth is None else view.depth * np.float32(scale)
        for view, scale in zip(views, scales, strict=True)
    ]
