"""Discriminators: how photo-like each patch of a picture is. docs/training.md says why these."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import torch
from torch import nn
from torch.nn.functional import adaptive_avg_pool2d, avg_pool2d, relu
from torch.nn.utils.parametrizations import spectral_norm

from backend.training.losses import weighted_mean


class PatchDiscriminator(nn.Module):
    """Convolutions over patches of the picture at several sizes (pix2pixHD, Wang et al. 2018), trained from nothing.

    Spectral norm (Miyato et al. 2018) on every layer and no other normalisation, so that a picture's verdict depends
    on itself alone.

    Args:
        width: channels after the first layer.
        scales: the picture, its half, its quarter, ...
    """

    def __init__(self, width: int = 64, scales: int = 2) -> None:
        super().__init__()
        self.scales = nn.ModuleList(_patch_layers(width) for _ in range(scales))

    def forward(self, pictures: torch.Tensor) -> list[torch.Tensor]:
        """Pictures (N, 3, H, W) in [-1, 1] to logits (N, 1, h, w) per scale; larger is more photo-like."""
        verdicts = []
        for layers in self.scales:
            verdicts.append(layers(pictures))
            pictures = avg_pool2d(pictures, 2)
        return verdicts


def _patch_layers(width: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    channels = (3, width, 2 * width, 4 * width)
    for before, after in pairwise(channels):
        layers += [spectral_norm(nn.Conv2d(before, after, 4, stride=2, padding=1)), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, spectral_norm(nn.Conv2d(channels[-1], 1, 3, padding=1)))


def hinge_real(verdicts: Iterable[torch.Tensor], weight: torch.Tensor) -> torch.Tensor:
    """The discriminator's loss on true pictures: 0 once every verdict is above 1 (Lim and Ye 2017)."""
    return _mean([relu(1 - verdict) for verdict in verdicts], weight)


def hinge_fake(verdicts: Iterable[torch.Tensor], weight: torch.Tensor) -> torch.Tensor:
    """The discriminator's loss on refined pictures: 0 once every verdict is below -1."""
    return _mean([relu(1 + verdict) for verdict in verdicts], weight)


def deceit(verdicts: Iterable[torch.Tensor], weight: torch.Tensor) -> torch.Tensor:
    """The generator's loss: smaller the more photo-like its pictures seem."""
    return _mean([-verdict for verdict in verdicts], weight)


def mean_verdict(verdicts: Iterable[torch.Tensor], weight: torch.Tensor) -> torch.Tensor:
    """How photo-like pictures seem on average, for the log."""
    return _mean(list(verdicts), weight)


def _mean(values: list[torch.Tensor], weight: torch.Tensor) -> torch.Tensor:
    """Over patches and scales; a patch counts as much as the weight (N, 1, H, W) under it."""
    means = [
        weighted_mean(value.float(), adaptive_avg_pool2d(weight, (value.shape[-2], value.shape[-1])))
        for value in values
    ]
    return torch.stack(means).mean()
