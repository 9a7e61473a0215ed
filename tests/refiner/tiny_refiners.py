"""Refiners small enough to run in milliseconds."""

import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel

from backend.avatars.base import RenderedView
from backend.refiner import Refiner, RefinerConfig
from backend.refiner.network.coordinates import FEATURES
from backend.refiner.network.images import CHANNELS

SIZE = 32


def tiny_unet(latent_channels: int = 4, width: int = 16, places: int = 0) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=8,
        in_channels=latent_channels + places,
        out_channels=latent_channels,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        block_out_channels=(width, 2 * width),
        layers_per_block=1,
        cross_attention_dim=12,
        attention_head_dim=2,
        norm_num_groups=4,
        use_linear_projection=True,
    )


def tiny_vae(inputs: int, outputs: int, latent_channels: int = 4) -> AutoencoderKL:
    return AutoencoderKL(
        in_channels=inputs,
        out_channels=outputs,
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(8, 8, 16),
        layers_per_block=1,
        latent_channels=latent_channels,
        norm_num_groups=4,
        sample_size=SIZE,
    )


def tiny_refiner(blend: bool = True, skips: bool = True, tokens: int = 1) -> Refiner:
    torch.manual_seed(0)
    config = RefinerConfig(name="tiny", size=SIZE, blend=blend, skips=skips, prompt_tokens=tokens)
    refiner = Refiner(config, tiny_unet(), tiny_vae(5 if blend else 3, 4 if blend else 3), torch.randn(1, tokens, 12))
    if refiner.skips is not None:
        for convolution in refiner.skips:
            torch.nn.init.normal_(convolution.weight, std=0.1)
    return refiner.prepare()


def tiny_refiner_with_coordinates() -> Refiner:
    torch.manual_seed(0)
    config = RefinerConfig(name="tiny", size=SIZE, blend=True, skips=True, prompt_tokens=1, coordinates=True)
    return Refiner(config, tiny_unet(places=FEATURES), tiny_vae(CHANNELS, 5), torch.randn(1, 1, 12)).prepare()


def random_view(seed: int, confidence: float | None = None) -> RenderedView:
    rng = np.random.default_rng(seed)
    rgba = rng.integers(0, 256, (SIZE, SIZE, 4), np.uint8)
    rgba[..., 3] = np.where(rng.random((SIZE, SIZE)) < 0.8, 255, 0)
    trust = rng.random((SIZE, SIZE)) if confidence is None else np.full((SIZE, SIZE), confidence)
    return RenderedView(rgba, np.ones((SIZE, SIZE), np.float32), trust.astype(np.float32))
