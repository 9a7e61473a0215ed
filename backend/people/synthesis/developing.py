"""From linear light to pictures: exposed for the face, toned as a camera does, before a background."""

from __future__ import annotations

import cv2
import numpy as np

from backend.people.synthesis.noise import to_linear, to_srgb

SKIN = 1


def exposure(rng: np.random.Generator, portrait: dict[str, np.ndarray], skin: np.ndarray) -> float:
    """The gain that brings the portrait's skin to its own colour's brightness, a little more or less."""
    here = (portrait["labels"] == SKIN) & (portrait["color"][..., 3] > 0.99)
    if not here.any():
        return 1.0
    seen = float(np.percentile(portrait["color"][here][:, :3].mean(1), 65))
    # People of dark skin are exposed for, too, though not to the same brightness.
    wanted = 0.74 * float(to_linear(skin).mean()) ** 0.85
    return wanted / max(seen, 1e-4) * rng.uniform(0.85, 1.15)


def develop(color: np.ndarray, gain: float) -> np.ndarray:
    """(S, S, 4) uint8, sRGB with straight alpha, of premultiplied linear light."""
    alpha = np.clip(color[..., 3:], 0, 1)
    rgb = to_srgb(gain * color[..., :3] / np.maximum(alpha, 1e-4)) * (alpha > 0)
    return np.rint(255 * np.clip(np.concatenate([rgb, alpha], -1), 0, 1)).astype(np.uint8)


def develop_background(rng: np.random.Generator, light: np.ndarray) -> np.ndarray:
    """(S, S, 3) uint8 of linear light, out of focus."""
    blurred = cv2.GaussianBlur(light.astype(np.float32), (0, 0), rng.uniform(0.004, 0.015) * len(light))
    return np.rint(255 * np.clip(to_srgb(blurred), 0, 1)).astype(np.uint8)


def over(image: np.ndarray, background: np.ndarray) -> np.ndarray:
    """(S, S, 3) uint8: a picture with straight alpha before a background."""
    alpha = image[..., 3:].astype(np.float32) / 255
    return np.rint(image[..., :3] * alpha + background * (1 - alpha)).astype(np.uint8)
