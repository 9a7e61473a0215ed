"""What the refiner keeps of a portrait, and what it says about views."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch

if TYPE_CHECKING:
    import numpy as np

    from backend.refiner.refiner import Refiner


class Unrefined(str):
    """A warning's sentence, told apart from others: views are shown raw because the network gave no finite numbers."""


@dataclass(frozen=True)
class ReferenceState:
    """What is computed once per portrait, or per set of portraits of one person.

    Only the latents: in the U-Net the reference's tokens attend to the novel views' from the first self-attention on,
    so its keys and values change with them and cannot be kept exactly.

    Attributes:
        latent: (R, c, h, w), clean, one for each reference image; for a refiner with coordinates (R, c + FEATURES, h,
            w), see `coordinates.place_features`.
    """

    latent: torch.Tensor

    def with_image(self, refiner: Refiner, rgba: np.ndarray, place: np.ndarray | None = None) -> ReferenceState:
        """One more reference, such as the frame before; arguments and errors as encoding has."""
        return ReferenceState(torch.cat([self.latent, refiner.encode_reference(rgba, place).latent]))


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

    def apply(self, views: torch.Tensor) -> torch.Tensor:
        """The refined colours (B, V, 3, H, W) over grey, for views (B, V, 5, H, W)."""
        alpha = (views[:, :, 3:4] + 1) / 2
        return views[:, :, :3] + alpha * self.correction
