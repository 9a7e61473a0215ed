"""What stands behind a synthetic portrait: mostly plain walls, sometimes soft shapes, never sharp ones."""

from __future__ import annotations

import cv2
import numpy as np


def draw_background(rng: np.random.Generator, size: int) -> np.ndarray:
    """(size, size, 3) float32 sRGB in [0, 1]."""
    wall = rng.uniform(0.15, 0.9) * rng.uniform(0.85, 1.1, 3)
    image: np.ndarray = np.broadcast_to(wall, (size, size, 3)).astype(np.float32)
    slope = np.linspace(-0.5, 0.5, size)
    falloff = rng.uniform(-0.25, 0.25) * slope[:, None] + rng.uniform(-0.25, 0.25) * slope[None]
    image = image * (1 + falloff[..., None].astype(np.float32))
    kind = rng.random()
    if kind > 0.5:
        cloudy = (rng.normal(0, 1, (6, 6, 1)) + rng.normal(0, 0.25, (6, 6, 3))) * rng.uniform(0.02, 0.10)
        image = image + cv2.resize(cloudy.astype(np.float32), (size, size), interpolation=cv2.INTER_CUBIC)
    if kind > 0.75:
        for _ in range(rng.integers(2, 7)):
            x, y = rng.integers(0, size, 2)
            corner = (int(x + rng.uniform(0.05, 0.4) * size), int(y + rng.uniform(0.1, 0.6) * size))
            color = rng.uniform(0.1, 0.9) * rng.uniform(0.7, 1.2, 3)
            cv2.rectangle(image, (int(x), int(y)), corner, tuple(color), -1)
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(6, 20) * size / 512)
    return np.clip(image, 0, 1)
