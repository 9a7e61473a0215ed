"""diffusers' autoencoders: the full one, with features that may skip from encoder to decoder, and the tiny one.

The skips follow img2img-turbo (Parmar et al. 2024) and Difix3D (Wu et al. 2025): what enters each block of the encoder
is added, through a 1x1 convolution that starts at zero, to what enters the decoder's block of the same resolution.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from diffusers import AutoencoderKL, AutoencoderTiny
from torch import nn


class Skips(nn.ModuleList):
    """One zero-initialised 1x1 convolution per decoder block, coarse to fine."""

    def __init__(self, vae: AutoencoderKL) -> None:
        widths = vae.config.block_out_channels
        # What enters encoder block i has the width of block i - 1; what enters a decoder block, of the block before it.
        sources = (widths[0], *widths[:-1])[::-1]
        targets = (widths[-1], *widths[:0:-1])
        convolutions = [nn.Conv2d(a, b, 1, bias=False) for a, b in zip(sources, targets, strict=True)]
        for convolution in convolutions:
            nn.init.zeros_(convolution.weight)
        super().__init__(convolutions)


def reduction(vae: AutoencoderKL | AutoencoderTiny) -> int:
    """How many pixels are side by side in one place of the latents."""
    return 2 ** (len(vae.config.block_out_channels) - 1)


def encode(vae: AutoencoderKL | AutoencoderTiny, images: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Images (N, C, H, W) in [-1, 1] to scaled latents (N, c, h, w), the mode, and features to skip, fine to coarse.

    The tiny autoencoder has neither moments nor features to skip.
    """
    if isinstance(vae, AutoencoderTiny):
        return vae.encoder(images) * vae.config.scaling_factor, []
    encoder = vae.encoder
    hidden = encoder.conv_in(images)
    features = []
    for block in encoder.down_blocks:
        features.append(hidden)
        hidden = block(hidden)
    hidden = encoder.mid_block(hidden)
    moments = encoder.conv_out(encoder.conv_act(encoder.conv_norm_out(hidden)))
    if vae.quant_conv is not None:
        moments = vae.quant_conv(moments)
    mean = moments.chunk(2, dim=1)[0]
    return (mean - (vae.config.shift_factor or 0.0)) * vae.config.scaling_factor, features


def decode(
    vae: AutoencoderKL | AutoencoderTiny,
    latents: torch.Tensor,
    skips: Skips | None = None,
    features: Sequence[torch.Tensor] = (),
) -> torch.Tensor:
    """Scaled latents (N, c, h, w) to the decoder's raw output (N, out_channels, H, W)."""
    decoder = vae.decoder
    if isinstance(vae, AutoencoderTiny):
        return decoder(latents / vae.config.scaling_factor)
    hidden = latents / vae.config.scaling_factor + (vae.config.shift_factor or 0.0)
    if vae.post_quant_conv is not None:
        hidden = vae.post_quant_conv(hidden)
    hidden = decoder.mid_block(decoder.conv_in(hidden))
    for index, block in enumerate(decoder.up_blocks):
        if skips is not None:
            hidden = hidden + skips[index](features[-1 - index])
        hidden = block(hidden)
    return decoder.conv_out(decoder.conv_act(decoder.conv_norm_out(hidden)))
