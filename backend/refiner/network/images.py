"""Between the avatar's pictures and the network's tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch

from backend.refiner.network.coordinates import scaled_places
from backend.refiner.views import GREY, known_places, known_portrait

PICTURE_CHANNELS = 5
"""RGB, alpha and confidence: what an autoencoder without coordinates sees at most."""
CHANNELS = PICTURE_CHANNELS + 3 + 3


class NetworkViews(NamedTuple):
    """Views as the networks see them, (..., C, H, W).

    Attributes:
        color: C = 3, over mid-grey, in [-1, 1].
        alpha, confidence: C = 1, in [-1, 1].
        place: C = 3, see `scaled_places`.
        warped: C = 3, the warped portrait over mid-grey, in [-1, 1]; 0 where it is not known.
    """

    color: torch.Tensor
    alpha: torch.Tensor
    confidence: torch.Tensor
    place: torch.Tensor
    warped: torch.Tensor

    @classmethod
    def of(
        cls, rgba: torch.Tensor, confidence: torch.Tensor, place: torch.Tensor, warped: torch.Tensor
    ) -> NetworkViews:
        """Of an avatar's views.

        Args:
            rgba: (..., H, W, 4) uint8, straight alpha.
            confidence: (..., H, W) in [0, 1].
            place: (..., H, W, 3) metres, see `RenderedView.place`.
            warped: (..., H, W, 3) uint8, see `RenderedView.warped`.
        """
        pixels = rgba.float() / 255
        color, alpha = pixels[..., :3] * 2 - 1, pixels[..., 3:]
        trust = confidence.float()[..., None]
        known = (place != 0).any(-1, keepdim=True)
        portrait = (warped.float() - GREY) / 127.5 * (alpha * known)
        parts = (color * alpha, alpha * 2 - 1, trust * 2 - 1, scaled_places(place), portrait)
        return cls(*(part.movedim(-1, -3) for part in parts))

    @classmethod
    def of_view(
        cls, rgba: np.ndarray, confidence: np.ndarray, place: np.ndarray | None = None, warped: np.ndarray | None = None
    ) -> NetworkViews:
        """Of one view: (H, W, 4) uint8, (H, W) and twice (H, W, 3)."""
        parts = (rgba, confidence, known_places(rgba, place), known_portrait(rgba, warped))
        return cls.of(*(torch.from_numpy(np.array(part)) for part in parts))

    @classmethod
    def of_portrait(cls, rgba: np.ndarray, place: np.ndarray | None = None) -> NetworkViews:
        """Of the portrait (H, W, 4) uint8: trusted wherever it shows the person; its own warp."""
        return cls.of_view(rgba, rgba[..., 3].astype(np.float32) / 255, place, rgba[..., :3])

    @classmethod
    def split(cls, channels: torch.Tensor) -> NetworkViews:
        """What was `stacked`: (..., CHANNELS, H, W)."""
        return cls(*channels.split((3, 1, 1, 3, 3), dim=-3))

    @classmethod
    def stack(cls, views: Sequence[NetworkViews]) -> NetworkViews:
        """Several side by side, along a new first axis."""
        return cls(*map(torch.stack, zip(*views, strict=True)))

    def stacked(self) -> torch.Tensor:
        """(..., CHANNELS, H, W), channels last in memory."""
        return torch.cat([part.movedim(-3, -1) for part in self], dim=-1).movedim(-1, -3)

    def map(self, function: Callable[[torch.Tensor], torch.Tensor]) -> NetworkViews:
        """The function of each part."""
        return NetworkViews(*map(function, self))


def compose(rgba: torch.Tensor, correction: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The refined colours: the raw ones plus a correction, nowhere outside the avatar's alpha.

    Args:
        rgba: the raw views, (B, V, H, W, 4) uint8.
        correction: (B, V, 3, H, W) in [-1, 1]; where it is 0 the raw colour stays as it is, bit by bit.

    Returns:
        (B, V, H, W, 3) uint8, and (B, V) bool: whether the view's correction was all finite. Where it was not, the
        whole raw view is returned.
    """
    correction = 127.5 * correction.float().movedim(2, -1)
    sound = torch.isfinite(correction).flatten(2).all(-1)
    use = (rgba[..., 3:] > 0) & sound[:, :, None, None, None]
    raw = rgba[..., :3]
    refined = (raw + torch.where(use, correction, 0)).round().clamp(0, 255).to(torch.uint8)
    return refined, sound
