"""Whether networks belong together and are what a preset was made for; said before anything is computed with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from diffusers import AutoencoderKL, AutoencoderTiny, UNet2DConditionModel

from backend.refiner.config import RefinerConfig
from backend.refiner.network.coordinates import FEATURES
from backend.refiner.network.images import CHANNELS, PICTURE_CHANNELS

_SHAPING = {
    "unet": (
        "in_channels", "out_channels", "down_block_types", "mid_block_type", "up_block_types", "block_out_channels",
        "layers_per_block", "cross_attention_dim", "attention_head_dim", "use_linear_projection",
        "transformer_layers_per_block", "addition_embed_type", "class_embed_type",
    ),
    "vae": (
        "in_channels", "out_channels", "block_out_channels", "layers_per_block", "latent_channels", "down_block_types",
        "encoder_block_out_channels", "decoder_block_out_channels",
    ),
}  # fmt: skip
"""The settings of diffusers' config files that decide what a network's weights look like."""


def check_architecture(part: str, expected: Mapping[str, Any], found: Mapping[str, Any], where: str) -> None:
    """Compare a base model's network with the one that the preset is for, by diffusers' config files.

    Args:
        part: "unet" or "vae".
        expected, found: the settings of both; what a file leaves out has the class's default.
        where: the base model's name, for the message.

    Raises:
        ValueError: they differ in what decides the weights' shapes.
    """
    odd = [key for key in _SHAPING[part] if _plain(found.get(key)) != _plain(expected.get(key))]
    if odd:
        differences = "; ".join(f"{key} is {found.get(key)}, not {expected.get(key)}" for key in odd[:3])
        raise ValueError(
            f"the {part} of {where} is of another architecture than this preset's base model: {differences}"
        )


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def check_scale(config: RefinerConfig, vae: AutoencoderKL | AutoencoderTiny) -> None:
    """Raise ValueError where the autoencoder's latents are scaled otherwise than the U-Net knows them."""
    scale = vae.config.scaling_factor
    if config.latent_scale is not None and abs(scale - config.latent_scale) > 1e-4:
        raise ValueError(
            f"the autoencoder scales its latents by {scale}, the U-Net of {config.name!r} knows them scaled by "
            f"{config.latent_scale}: take the autoencoder that belongs to it (Stable Diffusion 1 and 2: 0.18215; "
            "the tiny one for them: 1.0; SDXL's 0.13025 is another)"
        )


def check_networks(
    config: RefinerConfig, unet: UNet2DConditionModel, vae: AutoencoderKL | AutoencoderTiny, prompt: torch.Tensor
) -> None:
    """Raise ValueError unless the networks fit each other and the config."""
    outputs = [3] + [4] * config.blend + [5] * (config.blend and config.coordinates)
    inputs = (CHANNELS,) if config.coordinates else (3, PICTURE_CHANNELS)
    if vae.config.in_channels not in inputs or vae.config.out_channels not in outputs:
        raise ValueError(
            f"the autoencoder has {vae.config.in_channels} input and {vae.config.out_channels} output channels; "
            f"the refiner {config.name!r} needs {' or '.join(map(str, inputs))} and {' or '.join(map(str, outputs))}"
        )
    latents, places = vae.config.latent_channels, FEATURES if config.coordinates else 0
    if unet.config.in_channels != latents + places or unet.config.out_channels != latents:
        raise ValueError(
            f"the U-Net works on {unet.config.in_channels} latent channels, the autoencoder gives {latents}"
            f"{f' and the coordinates {places}' if places else ''}: they do not belong together "
            "(a U-Net for inpainting has 9)"
        )
    if unet.config.addition_embed_type or unet.config.class_embed_type:
        raise ValueError("the U-Net wants conditions besides the prompt (as SDXL's does): this refiner gives none")
    if prompt.ndim != 3 or prompt.shape[0] != 1 or prompt.shape[2] != unet.config.cross_attention_dim:
        raise ValueError(
            f"the prompt's embedding is {tuple(prompt.shape)}; "
            f"the U-Net needs (1, T, {unet.config.cross_attention_dim})"
        )
    check_scale(config, vae)
