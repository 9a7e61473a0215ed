"""Pictures as arrays: sRGB and linear light, over grey, heads over each other by depth.

What Blender's viewport shows, what F12 renders and what a batch writes come from here, so that they are the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

GREY = 150
"""sRGB level of what lies behind a head where pictures are looked at or compared."""
NO_DEPTH = np.float32(1e10)
"""Depth where nothing is, as Blender's engines write it."""
_LEVELS = np.arange(256, dtype=np.float32) / 255
TO_LINEAR = np.where(_LEVELS <= 0.04045, _LEVELS / 12.92, ((_LEVELS + 0.055) / 1.055) ** 2.4).astype(np.float32)
"""sRGB byte to linear float (IEC 61966-2-1)."""


class Composite(NamedTuple):
    """Several heads in one picture.

    Attributes:
        color: (H, W, 4) float32, linear, premultiplied.
        depth: (H, W) float32, of the nearest; NO_DEPTH where nothing is.
        seen: (N, H, W) float32 in [0, 1], how much of each pixel shows each head.
    """

    color: np.ndarray
    depth: np.ndarray
    seen: np.ndarray


def to_srgb(linear: np.ndarray) -> np.ndarray:
    """Linear light to sRGB bytes, of any shape."""
    linear = np.clip(linear, 0, 1)
    encoded = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.rint(encoded * 255).astype(np.uint8)


def premultiplied(rgba: np.ndarray) -> np.ndarray:
    """sRGB bytes with straight alpha (..., 4) as linear, premultiplied float32."""
    color = np.take(TO_LINEAR, rgba, mode="clip")
    color[..., 3] = rgba[..., 3] * np.float32(1 / 255)
    color[..., :3] *= color[..., 3:]
    return color


def straight_bytes(color: np.ndarray) -> np.ndarray:
    """Linear premultiplied (..., 4) float32 as sRGB bytes with straight alpha."""
    alpha = color[..., 3:]
    rgb = to_srgb(color[..., :3] / np.maximum(alpha, 1e-6))
    return np.concatenate([rgb, np.rint(np.clip(alpha, 0, 1) * 255).astype(np.uint8)], axis=-1)


def over(color: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Premultiplied colour (..., 4) over a premultiplied background."""
    return color + background * (1 - color[..., 3:])


def over_grey(rgba: np.ndarray) -> np.ndarray:
    """A picture with straight alpha (H, W, 4), levels of sRGB, over grey: (H, W, 3) float32."""
    alpha = rgba[..., 3:].astype(np.float32) / 255
    return rgba[..., :3] * alpha + GREY * (1 - alpha)


def bytes_over_grey(rgba: np.ndarray) -> np.ndarray:
    """The same rounded, (H, W, 3) uint8."""
    return np.rint(over_grey(rgba)).astype(np.uint8)


def composite(frames: Sequence[np.ndarray], depths: Sequence[np.ndarray]) -> Composite:
    """Put heads over each other, the nearest on top at each pixel, of equally near ones the first.

    Args:
        frames: one (H, W, 4) uint8 sRGB with straight alpha per head, at least one.
        depths: (H, W) float32, scene units, inf where a head is not.
    """
    far = np.stack([np.minimum(np.nan_to_num(depth, posinf=float(NO_DEPTH)), NO_DEPTH) for depth in depths]).astype(
        np.float32
    )
    layers = np.stack([premultiplied(frame) for frame in frames])
    color, seen = np.zeros_like(layers[0]), np.zeros_like(far)
    for rank in np.argsort(far, axis=0, kind="stable"):
        below = np.take_along_axis(layers, rank[None, ..., None], axis=0)[0] * (1 - color[..., 3:])
        np.put_along_axis(seen, rank[None], below[None, ..., 3], axis=0)
        color += below
    return Composite(color, far.min(0), seen)


def flatten(frames: Sequence[np.ndarray], depths: Sequence[np.ndarray]) -> np.ndarray:
    """The picture of `composite` as (H, W, 4) uint8 sRGB, straight alpha, fast enough for the live preview.

    Only pixels where a half transparent head lies before another are blended; of several such, two at a time.
    """
    pixels, depth = frames[0], depths[0]
    for other, other_depth in zip(frames[1:], depths[1:], strict=True):
        nearer = other_depth < depth
        words, other_words = (np.ascontiguousarray(p).view(np.uint32)[..., 0] for p in (pixels, other))
        top, bottom = np.where(nearer, other_words, words), np.where(nearer, words, other_words)
        alpha_top, alpha_bottom = (np.ascontiguousarray(p)[..., None].view(np.uint8)[..., 3] for p in (top, bottom))
        seen_through = np.nonzero((alpha_top < 255) & (alpha_bottom > 0))
        pixels = top[..., None].view(np.uint8)
        if len(seen_through[0]):
            front = premultiplied(pixels[seen_through])
            back = premultiplied(bottom[..., None].view(np.uint8)[seen_through])
            pixels[seen_through] = straight_bytes(over(front, back))
        depth = np.minimum(depth, other_depth)
    return pixels
