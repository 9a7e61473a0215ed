"""Where on the head every pixel lies, shown to the networks, so that attention finds the same place elsewhere.

The self-attention that joins views and portrait compares what tokens look like; nothing in that says that the ear of
one view is the ear of the other. So a token also knows its place on the resting head (`RenderedView.place`): encoded
beside the latents, as in NeRF (Mildenhall et al. 2020, section 5.1), and in attention itself, where most heads look
near their own place first, or near its mirror image, in all views and the portrait.
"""

from __future__ import annotations

import math

import torch
from torch.nn import functional

from backend.refiner.head_space import UNIT

LARGEST = 2.0
"""Units beyond which shoulders and long hair are not told apart."""
OCTAVES = 3
PLACE = 4
"""Channels of a place: its three coordinates times the share of the pixels that show one, and that share."""
FEATURES = PLACE + 3 * 2 * OCTAVES
"""Channels that the U-Net's latents gain: the place, and sine and cosine of the three coordinates in each octave."""
HEADS = ((0.02, False), (0.02, True), (0.05, False), (0.05, True))
"""How wide (metres) the first attention heads look, and whether a place's mirror image is the same to them. The last
head of a layer is always free to look anywhere."""
NOWHERE = 0.3
"""Metres as far as which a token without a place is taken to be from any other."""


def scaled_places(place: torch.Tensor) -> torch.Tensor:
    """Places (..., 3) in metres (see `RenderedView.place`) as the autoencoder sees them; zeros stay zeros."""
    return (place.float() / UNIT).clamp(-LARGEST, LARGEST)


def place_features(places: torch.Tensor, reduction: int) -> torch.Tensor:
    """What the U-Net sees beside the latents.

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
    return share * torch.cat([mean, torch.ones_like(share), *waves], 1)


class TokenPlaces:
    """The places of a U-Net's tokens at each of its resolutions, for all its attention layers.

    Args:
        features: (B, I, FEATURES, h, w), from `place_features`.
        levels: how many resolutions it has, each half the one before.

    Attributes:
        at: for each resolution, the finest first, (B, I n, PLACE) of the n tokens that an image has there: the mean
            place in units, and the share of the pixels that have one.
    """

    def __init__(self, features: torch.Tensor, levels: int) -> None:
        self.at: list[torch.Tensor] = []
        self._channels: dict[tuple[int, int, int], tuple[torch.Tensor, torch.Tensor]] = {}
        place = features[:, :, :PLACE].flatten(0, 1)
        for _ in range(levels):
            share = place[:, 3:]
            tokens = torch.cat([place[:, :3] / share.clamp_min(1e-3), share], 1).flatten(2).transpose(1, 2)
            self.at.append(tokens.reshape(len(features), -1, PLACE))
            place = functional.avg_pool2d(place, 2, ceil_mode=True)

    def look_near(self, query: torch.Tensor, key: torch.Tensor, level: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Queries and keys (B, heads, T, d) of a resolution with their `near_channels`, which are made once."""
        asking = level, query.shape[1], query.shape[3]
        if asking not in self._channels:
            # Nothing is learnt by them, and a recomputed layer finds them made: it must not have saved them before.
            with torch.no_grad():
                self._channels[asking] = near_channels(self.at[level], *asking[1:])
        asked, answered = self._channels[asking]
        return torch.cat([query, asked], -1), torch.cat([key, answered], -1)


def near_channels(places: torch.Tensor, heads: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """What queries and keys gain, so that their products fall with the distance of their places, as a normal
    distribution does.

    -|a - b|^2 / 2 s^2 is, up to what a query adds to all its keys, a product of (a, 1) and (b, -|b|^2 / 2) over s^2: so
    the distance costs four more channels, and no matrix of distances.

    Args:
        places: (B, T, PLACE), see `TokenPlaces.at`.
        heads, width: of queries and keys (B, heads, T, width); products are divided by the square root of width.

    Returns:
        Of queries and of keys (B, heads, T, 4).
    """
    looks = (*HEADS[: heads - 1], *[(math.inf, False)] * (heads - len(HEADS[: heads - 1])))
    at, share = places[..., :3], places[..., 3:]
    mirrored = torch.cat([at[..., :1].abs(), at[..., 1:]], -1)
    asked, answered = [], []
    for metres, mirror in looks:
        near = (UNIT / metres) ** 2 * width**0.5
        place = mirrored if mirror else at
        length = place.square().sum(-1, keepdim=True) + (1 - share) * (NOWHERE / UNIT) ** 2
        asked.append(near * share * torch.cat([place, torch.ones_like(share)], -1))
        answered.append(torch.cat([place, -length / 2], -1))
    return torch.stack(asked, 1), torch.stack(answered, 1)
