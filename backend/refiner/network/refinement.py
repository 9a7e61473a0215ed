"""What the refiner's networks say about views."""

from __future__ import annotations

from typing import NamedTuple

import torch

from backend.refiner.network.images import NetworkViews


class Refinement(NamedTuple):
    """What the networks say about V views.

    Attributes:
        correction: (B, V, 3, H, W), to be added to the raw colours (in [-1, 1]).
        change: (B, V, 1, H, W) in [0, 1]: how much of what the networks say is in it, nothing wherever the photo's
            confidence is full (with `blend`; else 1).
        latents: (B, V, c, h, w), the views' latents before the noise.
    """

    correction: torch.Tensor
    change: torch.Tensor
    latents: torch.Tensor

    def apply(self, views: NetworkViews) -> torch.Tensor:
        """The refined colours (B, V, 3, H, W) over grey, for views (B, V, ...)."""
        return views.color + (views.alpha + 1) / 2 * self.correction
