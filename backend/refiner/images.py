"""Between the avatar's pictures and the network's tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from backend.avatars.base import RenderedView


def view_tensor(rgba: np.ndarray, confidence: np.ndarray) -> torch.Tensor:
    """A view as the network sees it.

    Args:
        rgba: (H, W, 4) uint8, straight alpha.
        confidence: (H, W) in [0, 1].

    Returns:
        (5, H, W) float32 in [-1, 1]: RGB over mid-grey, alpha, confidence.
    """
    # Copies: the arrays may be read-only views of a message's buffer.
    pixels = torch.from_numpy(np.array(rgba)).permute(2, 0, 1).float() / 255
    color, alpha = pixels[:3] * 2 - 1, pixels[3:]
    trust = torch.from_numpy(np.array(confidence, np.float32))[None]
    return torch.cat([color * alpha, alpha * 2 - 1, trust * 2 - 1])


def reference_tensor(rgba: np.ndarray) -> torch.Tensor:
    """The portrait as the network sees it: (5, H, W), trusted wherever it shows the person."""
    return view_tensor(rgba, rgba[..., 3].astype(np.float32) / 255)


def check_square(rgba: np.ndarray, size: int, what: str) -> None:
    """Raise ValueError unless an image is (size, size, 4) uint8."""
    if rgba.shape != (size, size, 4) or rgba.dtype != np.uint8:
        raise ValueError(
            f"{what} must be ({size}, {size}, 4) uint8, not {rgba.shape} {rgba.dtype}: render it at {size}"
        )


def compose(view: RenderedView, correction: np.ndarray) -> np.ndarray:
    """The refined colours: the raw ones plus a correction, nowhere outside the avatar's alpha.

    Args:
        view: the raw view, (H, W).
        correction: (H, W, 3) float32, in units of 1/255; where it is 0 the raw colour stays as it is, bit by bit.

    Returns:
        (H, W, 3) uint8.
    """
    inside = view.rgba[..., 3:] > 0
    return np.clip(np.rint(view.rgba[..., :3] + inside * correction), 0, 255).astype(np.uint8)
