"""Fine detail that the photo resolved is the person's own: there a refiner may tone and mend, but not smooth strands,
wrinkles and lashes away."""

from __future__ import annotations

import torch
from torch.nn.functional import avg_pool2d

RESOLVED = (0.1, 0.4)
"""Photo confidences: up to the first a view's detail is the avatar's guess, from the second on it is the photo's."""
WIDTH = 5
"""Pixels: a change is coarse as far as two box filters of this width leave of it."""


def keep_detail(correction: torch.Tensor, shown: torch.Tensor, confidence: torch.Tensor, share: float) -> torch.Tensor:
    """A correction without its fine part where that would change detail of the photo.

    Args:
        correction: (B, V, 3, H, W).
        shown: (B, V, 1, H, W) in [0, 1]: how much of a pixel the correction is for; what lies beside it says nothing.
        confidence: (B, V, 1, H, W) in [0, 1], the photo's.
        share: in [0, 1], of the photo's detail that stays.
    """
    low, high = RESOLVED
    resolved = ((confidence - low) / (high - low)).clamp(0, 1)
    return correction + share * resolved * (_coarse(correction, shown) - correction)


def _coarse(pictures: torch.Tensor, shown: torch.Tensor) -> torch.Tensor:
    """Pictures (B, V, 3, H, W) box-filtered twice, each pixel weighted by how much of it is shown."""
    # Beyond the frame nothing is shown, as outside an outline: a head's box gives what the whole picture gives.
    blurred = torch.cat([torch.where(shown > 0, pictures, 0) * shown, shown], 2).flatten(0, 1)
    for _ in range(2):
        blurred = avg_pool2d(blurred, WIDTH, 1, WIDTH // 2)
    blurred = blurred.unflatten(0, pictures.shape[:2])
    return blurred[:, :, :3] / blurred[:, :, 3:].clamp(min=1e-3)
