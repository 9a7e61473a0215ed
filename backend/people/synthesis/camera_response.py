"""From linear light to pictures: a camera's exposure, white balance, tone curve, sharpening, grain and JPEG."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from backend.people.synthesis.files import LABELS
from backend.people.synthesis.noise import to_linear, to_srgb


@dataclass(frozen=True)
class CameraLook:
    """What a camera makes of light; the same for all views of a person.

    Attributes:
        gain: (3,) exposure and white balance, on linear light.
        contrast: of the tone curve about middle grey, 1 for none. toe: in [0, 1], how much shadows are lifted.
        saturation: 1 for none.
        sharpening: of edges a pixel wide. softness: pixels of blur.
        grain: standard deviation in sRGB steps of 1/255. quality: of JPEG, 100 for none.
    """

    gain: np.ndarray
    contrast: float
    toe: float
    saturation: float
    sharpening: float
    softness: float
    grain: float
    quality: int

    @classmethod
    def draw(cls, rng: np.random.Generator, portrait: dict[str, np.ndarray], skin: np.ndarray) -> CameraLook:
        """Draw a camera that exposes for the portrait's skin, whose own colour is (3,) sRGB in [0, 1]."""
        u = rng.uniform
        gain = exposure(rng, portrait, skin) * np.exp(rng.normal(0, 1, 3) * [0.04, 0.01, 0.05])
        return cls(
            gain.astype(np.float32), u(0.9, 1.25), u(0.0, 0.05), u(0.85, 1.15), u(0.0, 0.6), u(0.25, 0.6), u(0.3, 1.8),
            int(rng.choice([100, 96, 93, 90])),
        )  # fmt: skip

    def develop(self, color: np.ndarray) -> np.ndarray:
        """(S, S, 4) uint8, sRGB with straight alpha, of premultiplied linear light; without grain and JPEG."""
        alpha = np.clip(color[..., 3:], 0, 1)
        rgb = self.tone(color[..., :3] / np.maximum(alpha, 1e-4)) * alpha
        # With its alpha, so that nothing from beyond the edge gets in.
        soft, blurred = (
            _filtered(rgb, alpha, sigma) for sigma in (self.softness * len(color) / 512, 1.2 * len(color) / 512)
        )
        rgb = (soft + self.sharpening * (soft - blurred)) * (alpha > 0)
        return np.rint(255 * np.clip(np.concatenate([rgb, alpha], -1), 0, 1)).astype(np.uint8)

    def tone(self, light: np.ndarray) -> np.ndarray:
        """sRGB in [0, 1] of linear light (S, S, 3)."""
        srgb = to_srgb(self.gain * light)
        grey = srgb.mean(-1, keepdims=True)
        srgb = np.clip(grey + self.saturation * (srgb - grey), 0, 1)
        curved = 0.5 + (srgb - 0.5) * self.contrast
        # Like film, the curve bends at both ends and does not clip there.
        curved = np.where(curved > 0.85, 0.85 + 0.15 * np.tanh((curved - 0.85) / 0.15), curved)
        curved = np.where(curved < 0.08, 0.08 * np.exp((curved - 0.08) / 0.08), curved)
        return (self.toe + (1 - self.toe) * curved).astype(np.float32)

    def photograph(self, rng: np.random.Generator, image: np.ndarray, background: np.ndarray) -> np.ndarray:
        """(S, S, 3) uint8: a picture with straight alpha before a background, as the camera stores it."""
        picture = over(image, background).astype(np.float32)
        grain = rng.normal(0, 1, picture.shape).astype(np.float32)
        # Grain of sensors is coarser than a pixel and partly without colour.
        grain = 0.6 * grain + 0.8 * cv2.GaussianBlur(grain.mean(-1), (0, 0), 0.7)[..., None]
        shade = 1.2 - picture.mean(-1, keepdims=True) / 255
        taken = np.clip(np.rint(picture + self.grain * shade * grain), 0, 255).astype(np.uint8)
        if self.quality == 100:
            return taken
        _, data = cv2.imencode(".jpg", taken[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, self.quality])
        return np.ascontiguousarray(cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1])

    def background(self, rng: np.random.Generator, light: np.ndarray) -> np.ndarray:
        """(S, S, 3) uint8 of linear light, out of focus."""
        blurred = cv2.GaussianBlur(light.astype(np.float32), (0, 0), rng.uniform(0.006, 0.03) * len(light))
        return np.rint(255 * np.clip(self.tone(blurred / self.gain.mean()), 0, 1)).astype(np.uint8)


def _filtered(premultiplied: np.ndarray, alpha: np.ndarray, sigma: float) -> np.ndarray:
    """Straight colours (S, S, 3) blurred over what is not transparent."""
    weight = cv2.GaussianBlur(alpha, (0, 0), sigma)[..., None]
    return cv2.GaussianBlur(premultiplied, (0, 0), sigma) / np.maximum(weight, 1e-4)


def exposure(rng: np.random.Generator, portrait: dict[str, np.ndarray], skin: np.ndarray) -> float:
    """The gain that brings the portrait's skin to its own colour's brightness, a little more or less."""
    here = (portrait["labels"] == LABELS["skin"]) & (portrait["color"][..., 3] > 0.99)
    if not here.any():
        return 1.0
    seen = float(np.percentile(portrait["color"][here][:, :3].mean(1), 65))
    # People of dark skin are exposed for, too, though not to the same brightness.
    wanted = 0.74 * float(to_linear(skin).mean()) ** 0.85
    return wanted / max(seen, 1e-4) * rng.uniform(0.85, 1.15)


def over(image: np.ndarray, background: np.ndarray) -> np.ndarray:
    """(S, S, 3) uint8: a picture with straight alpha before a background."""
    alpha = image[..., 3:].astype(np.float32) / 255
    return np.rint(image[..., :3] * alpha + background * (1 - alpha)).astype(np.uint8)
