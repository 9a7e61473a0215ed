"""Several heads in one frame: their views put over each other by depth, in linear light."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

NO_DEPTH = np.float32(1e10)
"""Depth where nothing is, as Blender's engines write it."""
_LEVELS = np.arange(256, dtype=np.float32) / 255
TO_LINEAR = np.where(_LEVELS <= 0.04045, _LEVELS / 12.92, ((_LEVELS + 0.055) / 1.055) ** 2.4).astype(np.float32)
"""sRGB byte to linear float (IEC 61966-2-1)."""


@dataclass(frozen=True, eq=False)
class Picture:
    """One frame.

    Attributes:
        rgba: (H, W, 4) uint8 sRGB, straight alpha.
        depth: (H, W) float32, scene units along the camera's axis, NO_DEPTH where nothing is.
        mattes: head's name -> (H, W) float32 in [0, 1], how much of the pixel shows it.
    """

    rgba: np.ndarray
    depth: np.ndarray
    mattes: dict[str, np.ndarray]

    @property
    def linear(self) -> np.ndarray:
        """(H, W, 4) float32, linear light, straight alpha."""
        linear = TO_LINEAR[self.rgba]
        linear[..., 3] = self.rgba[..., 3] * np.float32(1 / 255)
        return linear


def stack(
    names: Sequence[str], frames: Sequence[np.ndarray], depths: Sequence[np.ndarray], width: int, height: int
) -> Picture:
    """Put heads over each other, the nearest on top at each pixel.

    Args:
        frames: (H, W, 4) uint8 sRGB, straight alpha, one per head.
        depths: (H, W) float32, scene units, inf where a head is not.
    """
    if not frames:
        shape = (height, width)
        return Picture(np.zeros((*shape, 4), np.uint8), np.full(shape, NO_DEPTH, np.float32), {})
    far = [np.minimum(np.nan_to_num(depth, posinf=NO_DEPTH), NO_DEPTH).astype(np.float32) for depth in depths]
    alphas = np.stack([frame[..., 3] * np.float32(1 / 255) for frame in frames])
    if len(frames) == 1:
        return Picture(frames[0], far[0], {names[0]: alphas[0]})
    order = np.argsort(np.stack(far), axis=0, kind="stable")
    light = np.stack([TO_LINEAR[frame[..., :3]] for frame in frames])
    seen = np.zeros_like(alphas)
    color = np.zeros((height, width, 3), np.float32)
    through = np.ones((height, width), np.float32)
    for rank in order:
        alpha = np.take_along_axis(alphas, rank[None], axis=0)[0] * through
        np.put_along_axis(seen, rank[None], alpha[None], axis=0)
        color += alpha[..., None] * np.take_along_axis(light, rank[None, ..., None], axis=0)[0]
        through = through - alpha
    covered = 1 - through
    rgb = to_srgb(color / np.maximum(covered, 1e-6)[..., None])
    rgba = np.concatenate([rgb, np.rint(covered * 255).astype(np.uint8)[..., None]], axis=2)
    return Picture(rgba, np.min(far, axis=0), dict(zip(names, seen, strict=True)))


def to_srgb(linear: np.ndarray) -> np.ndarray:
    """Linear light to sRGB bytes, of any shape."""
    linear = np.clip(linear, 0, 1)
    encoded = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.rint(encoded * 255).astype(np.uint8)
