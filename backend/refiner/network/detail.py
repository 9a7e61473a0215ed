"""Fine detail of a view is the photo's, or what a mesh avatar made up to be like it: a refiner may tone and mend there,
but not smooth strands, wrinkles and lashes away. Pixels teach it to, because no strand lies where the true one does."""

from __future__ import annotations

import torch
from torch.nn.functional import avg_pool2d

RESOLVED = (0.1, 0.4)
"""Photo confidences: up to the first a view's detail is the avatar's guess, from the second on it is the photo's."""
WIDTH = 5
"""Pixels: a change is coarse as far as two box filters of this width leave of it."""


def lasting_detail(confidence: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """(B, V, 1, H, W) in [0, 1]: where detail stays, because the photo resolved it or a mesh has it.

    Args:
        confidence: (B, V, 1, H, W) in [0, 1], the photo's. places: (B, V, 3, H, W), zeros where none is known.
    """
    low, high = RESOLVED
    resolved = ((confidence - low) / (high - low)).clamp(0, 1)
    return torch.maximum(resolved, (places != 0).any(2, keepdim=True).to(resolved))


def keep_detail(correction: torch.Tensor, shown: torch.Tensor, lasting: torch.Tensor, share: float) -> torch.Tensor:
    """A correction without its fine part where that would change detail that stays.

    Args:
        correction: (B, V, 3, H, W).
        shown: (B, V, 1, H, W) in [0, 1]: how much of a pixel the correction is for; what lies beside it says nothing.
        lasting: (B, V, 1, H, W) in [0, 1], see `lasting_detail`.
        share: in [0, 1], of the detail that stays.
    """
    return correction + share * lasting * (_coarse(correction, shown) - correction)


def _coarse(pictures: torch.Tensor, shown: torch.Tensor) -> torch.Tensor:
    """Pictures (B, V, 3, H, W) box-filtered twice, each pixel weighted by how much of it is shown."""
    # Beyond the frame nothing is shown, as outside an outline: a head's box gives what the whole picture gives.
    blurred = torch.cat([torch.where(shown > 0, pictures, 0) * shown, shown], 2).flatten(0, 1)
    for _ in range(2):
        blurred = avg_pool2d(blurred, WIDTH, 1, WIDTH // 2)
    blurred = blurred.unflatten(0, pictures.shape[:2])
    return blurred[:, :, :3] / blurred[:, :, 3:].clamp(min=1e-3)
