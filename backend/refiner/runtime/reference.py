"""What the refiner keeps of a portrait."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ReferenceState:
    """What is computed once per portrait, or per set of portraits of one person.

    Only the latents: in the U-Net the reference's tokens attend to the novel views' from the first self-attention on,
    so its keys and values change with them and cannot be kept exactly.

    Attributes:
        latent: (R, c, h, w) float32, clean, one for each reference image; for a refiner with coordinates (R, c +
            FEATURES, h, w), see `coordinates.place_features`.
    """

    latent: np.ndarray

    def joined(self, other: ReferenceState) -> ReferenceState:
        """With another's images as further references, such as the frame before."""
        return ReferenceState(np.concatenate([self.latent, other.latent]))
