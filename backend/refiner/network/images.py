"""Between the avatar's pictures and the network's tensors."""

from __future__ import annotations

import numpy as np
import torch

from backend.refiner.network.coordinates import scaled_places
from backend.refiner.views import GREY, known_places, known_portrait

PICTURE = 5
"""The first channels of a network's view: RGB, alpha, confidence."""
WARPED = PICTURE + 3
"""The first channel of the warped portrait; those before it are the place on the head."""
CHANNELS = WARPED + 3


def network_views(
    rgba: torch.Tensor, confidence: torch.Tensor, place: torch.Tensor, warped: torch.Tensor
) -> torch.Tensor:
    """Views as the network sees them.

    Args:
        rgba: (..., H, W, 4) uint8, straight alpha.
        confidence: (..., H, W) in [0, 1].
        place: (..., H, W, 3) metres, see `RenderedView.place`.
        warped: (..., H, W, 3) uint8, see `RenderedView.warped`.

    Returns:
        (..., CHANNELS, H, W) float32, channels last in memory: RGB over mid-grey, alpha, confidence in [-1, 1],
        `scaled_places`, and the warped portrait's RGB over mid-grey, which is known where the place is.
    """
    pixels = rgba.float() / 255
    color, alpha = pixels[..., :3] * 2 - 1, pixels[..., 3:]
    trust = confidence.float()[..., None]
    known = (place != 0).any(-1, keepdim=True)
    portrait = (warped.float() - GREY) / 127.5 * (alpha * known)
    stacked = torch.cat([color * alpha, alpha * 2 - 1, trust * 2 - 1, scaled_places(place), portrait], dim=-1)
    return stacked.movedim(-1, -3)


def view_tensor(
    rgba: np.ndarray, confidence: np.ndarray, place: np.ndarray | None = None, warped: np.ndarray | None = None
) -> torch.Tensor:
    """`network_views` of one view: (H, W, 4) uint8, (H, W) and twice (H, W, 3) to (CHANNELS, H, W)."""
    parts = (rgba, confidence, known_places(rgba, place), known_portrait(rgba, warped))
    return network_views(*(torch.from_numpy(np.array(part)) for part in parts))


def reference_tensor(rgba: np.ndarray, place: np.ndarray | None = None) -> torch.Tensor:
    """The portrait as the network sees it: (CHANNELS, H, W), trusted wherever it shows the person; its own warp."""
    return view_tensor(rgba, rgba[..., 3].astype(np.float32) / 255, place, rgba[..., :3])


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
