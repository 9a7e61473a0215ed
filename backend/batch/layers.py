"""A frame of a batch: its heads put over each other, with depth and a matte per head; and the blur of motion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from backend.protocol.pictures import NO_DEPTH, TO_LINEAR, composite, premultiplied, straight_bytes


@dataclass(frozen=True, eq=False)
class FramePicture:
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
) -> FramePicture:
    """Put heads over each other, the nearest on top at each pixel.

    Args:
        frames: (H, W, 4) uint8 sRGB, straight alpha, one per head.
        depths: (H, W) float32, scene units, inf where a head is not.
    """
    if not frames:
        shape = (height, width)
        return FramePicture(np.zeros((*shape, 4), np.uint8), np.full(shape, NO_DEPTH, np.float32), {})
    if len(frames) == 1:
        alpha = frames[0][..., 3] * np.float32(1 / 255)
        depth = np.minimum(np.nan_to_num(depths[0], posinf=float(NO_DEPTH)), NO_DEPTH).astype(np.float32)
        return FramePicture(frames[0], depth, {names[0]: alpha})
    color, depth, seen = composite(frames, depths)
    return FramePicture(straight_bytes(color), depth, dict(zip(names, seen, strict=True)))


def expose(samples: Sequence[tuple[FramePicture, float]]) -> FramePicture:
    """The picture of a shutter's samples in time, each for a share of it; the depth is the middle one's."""
    (first, share), *others = samples
    if not others and share == 1:
        return first
    color = np.zeros(first.rgba.shape, np.float32)
    mattes: dict[str, np.ndarray] = {}
    for picture, share in samples:
        color += np.float32(share) * premultiplied(picture.rgba)
        for name, matte in picture.mattes.items():
            mattes[name] = mattes.get(name, np.float32(0)) + np.float32(share) * matte
    return FramePicture(straight_bytes(color), samples[len(samples) // 2][0].depth, mattes)
