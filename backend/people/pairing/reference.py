"""A registered portrait as the refiner's reference, and how well a true picture agrees with it."""

from __future__ import annotations

import cv2
import numpy as np

from backend.avatars.bust import BustAvatar
from backend.protocol.camera import Camera
from backend.tracking import TrackedPortrait

LEAST_AGREEMENT = 35.0
"""dB between portrait and truth at the portrait's own view; an identity below it teaches the wrong thing."""


class Rejected(Exception):
    """An identity that does not enter the corpus; the message says why."""


def true_camera(camera: Camera, tracked: TrackedPortrait) -> Camera:
    """The camera that took a tracked portrait, over the true head's space, in the pixels of the tracker's crop."""
    scale, _, x = tracked.from_photo[0]
    y = tracked.from_photo[1, 2]
    side = tracked.camera.width
    return camera.crop(-x / scale, -y / scale, side / scale, side)


def reference_image(avatar: BustAvatar, size: int) -> np.ndarray:
    """The portrait as the refiner's reference, (size, size, 4) uint8 with the matte as alpha."""
    tracked = avatar.tracked
    rgba = np.concatenate([tracked.image, np.rint(255 * tracked.matte)[..., None].astype(np.uint8)], -1)
    return cv2.resize(rgba, (size, size), interpolation=cv2.INTER_AREA)


def agreement_of(reference: np.ndarray, truth: np.ndarray, head: np.ndarray) -> float:
    """PSNR, dB, between a portrait and its true view (S, S, 4) inside a head mask (S, S), all uint8."""
    inside = (head == 255) & (truth[..., 3] == 255)
    error = reference[..., :3][inside].astype(float) - truth[..., :3][inside]
    return float(10 * np.log10(255**2 / max((error**2).mean(), 1e-9)))
