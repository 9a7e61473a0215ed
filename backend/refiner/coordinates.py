"""Where on the head every pixel lies, told to the networks, so that attention can find the same place elsewhere.

The self-attention that joins views and portrait compares what tokens look like. With the head's own coordinates beside
the colours a token of a turned view also says which part of the head it shows, and the portrait's token of that part,
or of its mirror image, answers to it. The encoding is that of NeRF (Mildenhall et al. 2020, section 5.1).
"""

from __future__ import annotations

import math

import torch
from torch.nn import functional

UNIT = 0.2
"""Metres that are 1 to the networks: about a head's width."""
LARGEST = 2.0
"""Units beyond which shoulders and long hair are not told apart."""
OCTAVES = 3
FEATURES = 3 * 2 * OCTAVES
"""Channels that the U-Net's latents gain: sine and cosine of three coordinates in each octave."""


def scaled_places(place: torch.Tensor) -> torch.Tensor:
    """Places (..., 3) in metres (see `RenderedView.place`) as the autoencoder sees them; zeros stay zeros."""
    return (place.float() / UNIT).clamp(-LARGEST, LARGEST)


def place_features(places: torch.Tensor, reduction: int) -> torch.Tensor:
    """What the U-Net is told beside the latents.

    Args:
        places: (N, 3, H, W), from `scaled_places`; all three zero where a pixel shows no place on the head.
        reduction: pixels side by side in one place of the latents.

    Returns:
        (N, FEATURES, H / reduction, W / reduction): of the mean place of the pixels that show one, times their share.
    """
    known = (places != 0).any(1, keepdim=True).to(places)
    share = functional.avg_pool2d(known, reduction)
    mean = functional.avg_pool2d(places, reduction) / share.clamp_min(1e-3)
    waves = [wave(math.pi * 2**octave * mean) for octave in range(OCTAVES) for wave in (torch.sin, torch.cos)]
    return share * torch.cat(waves, 1)
