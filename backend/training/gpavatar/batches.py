"""Training samples: one view of a head is rendered from other views of it, in the network's framing."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from backend.avatars.gpavatar.cameras import camera_rays, rectify
from backend.avatars.gpavatar.config import GPAvatarConfig
from backend.avatars.gpavatar.volume import Rays
from backend.protocol.camera import Camera
from backend.training.gpavatar.config import GPAvatarTrainingConfig
from backend.training.gpavatar.heads import HeadViews

MARGIN = 0.05
"""Of the box around the points, on each side, relative to its size."""


@dataclass(frozen=True)
class HeadBatch:
    """B samples.

    Attributes:
        portraits: (B, P, 3, S, S) in [0, 1] over black, as `cameras.rectify` gives them.
        truth: (B, 3, I, I) in [0, 1] over black, the view that shall come out.
        known: (B, 1, I, I), 1 where the view was photographed, 0 beyond its border.
        rays: (B, R, 3).
        points: (B, N, 3).
        boxes: (B, 4), the head's box in the picture, x0, y0, x1, y1 in [0, 1].
    """

    portraits: Tensor
    truth: Tensor
    known: Tensor
    rays: Rays
    points: Tensor
    boxes: Tensor

    def to(self, device: torch.device) -> HeadBatch:
        """The same batch on another device."""
        rays = Rays(self.rays.origins.to(device), self.rays.directions.to(device))
        portraits, truth, known, points, boxes = (
            x.to(device) for x in (self.portraits, self.truth, self.known, self.points, self.boxes)
        )
        return HeadBatch(portraits, truth, known, rays, points, boxes)


def draw_batch(
    heads: list[HeadViews], config: GPAvatarTrainingConfig, sizes: GPAvatarConfig, rng: np.random.Generator
) -> HeadBatch:
    """Draw samples; the generator alone decides which."""
    portraits = 1 if rng.random() < config.single else config.portraits
    samples = []
    for _ in range(config.batch):
        head = heads[rng.integers(len(heads))]
        target, *others = rng.permutation(len(head.images))
        # A head of few views shows some of them twice, so that all samples have as many.
        samples.append(make_sample(head, target, np.resize(others, portraits), sizes))
    return collate(samples)


def make_sample(head: HeadViews, target: int, others: np.ndarray, sizes: GPAvatarConfig) -> HeadBatch:
    """The batch of one sample: a view to render, and the views that it is rendered from."""
    scale = sizes.head_scale
    portraits = [
        rectify(head.images[k, ..., :3], head.images[k, ..., 3] / np.float32(255), head.cameras[k], sizes.portrait_size,
                scale)
        for k in others
    ]  # fmt: skip
    square = box_square(head.cameras[target], scale)
    picture = framed(head.images[target], square, sizes.image_size)
    camera = head.cameras[target].crop(*square, sizes.image_size)
    rays, _ = camera_rays(camera, np.eye(4), sizes.render_size, scale)
    seen = camera.project(head.points[target] / scale) / sizes.image_size
    low, high = seen.min(0), seen.max(0)
    grown = MARGIN * (high - low)
    return HeadBatch(
        torch.from_numpy(np.stack(portraits))[None],
        torch.from_numpy(np.ascontiguousarray((picture[..., :3]).transpose(2, 0, 1)))[None],
        torch.from_numpy((picture[..., 3] > 0.999).astype(np.float32))[None, None],
        rays,
        torch.from_numpy(head.points[target])[None],
        torch.from_numpy(np.concatenate([low - grown, high + grown]).clip(0, 1).astype(np.float32))[None],
    )


def collate(samples: list[HeadBatch]) -> HeadBatch:
    """Samples of as many portraits each, one after the other."""
    columns = {name: [getattr(sample, name) for sample in samples] for name in HeadBatch.__dataclass_fields__}
    rays = columns.pop("rays")
    joined = {name: torch.cat(column) for name, column in columns.items()}
    return HeadBatch(rays=Rays(torch.cat([r.origins for r in rays]), torch.cat([r.directions for r in rays])), **joined)


def box_square(camera: Camera, scale: float) -> tuple[float, float, float]:
    """The square (x0, y0, side), pixels, that the middle of the box fills: the published framing."""
    x, y = camera.project(np.zeros(3))
    half = camera.intrinsics[0, 0] / (scale * camera.extrinsics[2, 3])
    return float(x - half), float(y - half), float(2 * half)


def framed(image: np.ndarray, square: tuple[float, float, float], size: int) -> np.ndarray:
    """A square of a picture (S, S, 4) uint8 as (size, size, 4) float32: colours over black, and what is known.

    The last channel is 1 inside the picture, whatever its alpha is there, and 0 beyond its border.
    """
    x0, y0, side = square
    # Enlarged and averaged afterwards where it shrinks: interpolation alone would skip pixels.
    fine = size * max(1, int(np.ceil(side / size)))
    step = side / fine
    color = image[..., :3].astype(np.float32) / 255 * (image[..., 3:] / np.float32(255))
    layers = np.dstack([color, np.ones(image.shape[:2], np.float32)])
    # OpenCV counts from the middle of the first pixel.
    inverse = np.array([[step, 0, x0 + 0.5 * step - 0.5], [0, step, y0 + 0.5 * step - 0.5]])
    result = cv2.warpAffine(layers, inverse, (fine, fine), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    return cv2.resize(result, (size, size), interpolation=cv2.INTER_AREA) if fine > size else result
