"""Between the avatar's pictures and the network's tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from backend.avatars.base import RenderedView


def network_views(rgba: torch.Tensor, confidence: torch.Tensor) -> torch.Tensor:
    """Views as the network sees them.

    Args:
        rgba: (..., H, W, 4) uint8, straight alpha.
        confidence: (..., H, W) in [0, 1].

    Returns:
        (..., 5, H, W) float32 in [-1, 1]: RGB over mid-grey, alpha, confidence; channels last in memory.
    """
    pixels = rgba.float() / 255
    color, alpha = pixels[..., :3] * 2 - 1, pixels[..., 3:]
    stacked = torch.cat([color * alpha, alpha * 2 - 1, confidence.float()[..., None] * 2 - 1], dim=-1)
    return stacked.movedim(-1, -3)


def view_tensor(rgba: np.ndarray, confidence: np.ndarray) -> torch.Tensor:
    """`network_views` of one view: (H, W, 4) uint8 and (H, W) to (5, H, W)."""
    return network_views(*(torch.from_numpy(np.array(part)) for part in (rgba, confidence)))


def reference_tensor(rgba: np.ndarray) -> torch.Tensor:
    """The portrait as the network sees it: (5, H, W), trusted wherever it shows the person."""
    return view_tensor(rgba, rgba[..., 3].astype(np.float32) / 255)


def stack_moments(moments: Sequence[Sequence[RenderedView]]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """B moments of V views: (B, V, S, S, 4) uint8, their confidence and turns (B, V, S, S), both float32.

    The shoulders count as not turned: their clothes are what nobody's head teaches a refiner.
    """
    rgba = np.stack([np.stack([view.rgba for view in moment]) for moment in moments])
    confidence = np.stack([np.stack([view.confidence for view in moment]) for moment in moments])
    turned = np.stack([np.stack([_turns(view) for view in moment]) for moment in moments])
    return tuple(torch.from_numpy(x) for x in (rgba, confidence.astype(np.float32, copy=False), turned))


def _turns(view: RenderedView) -> np.ndarray:
    head = np.ones(view.rgba.shape[:2], np.float32) if view.head is None else view.head
    return np.float32(view.turned) * head


def check_square(rgba: np.ndarray, size: int, what: str) -> None:
    """Raise ValueError unless an image is (size, size, 4) uint8."""
    if rgba.shape != (size, size, 4) or rgba.dtype != np.uint8:
        raise ValueError(
            f"{what} must be ({size}, {size}, 4) uint8, not {rgba.shape} {rgba.dtype}: render it at {size}"
        )


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
