"""The refiner as one would first write it with diffusers and peft, to be measured beside ours: nothing kept or spared.

Each call encodes the portrait as well as the views, gives the prompt to every cross-attention for every image, runs the
stock U-Net to its end for all images and decodes them all; the adapters stay beside the weights, as peft leaves them;
tensors are contiguous. Same networks, same pictures.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from diffusers.models.attention_processor import Attention, AttnProcessor2_0

from backend.avatars.base import RenderedView
from backend.models.memory_format import in_memory_format
from backend.refiner import Refiner
from backend.refiner.config import LoraSpec, NetworkName
from backend.refiner.network.attention import ReshapedSelfAttention, level_of
from backend.refiner.network.autoencoder import decode, encode, reduction
from backend.refiner.network.coordinates import TokenPlaces, place_features
from backend.refiner.network.diffusion import clean_latent, mix_noise, signal_level
from backend.refiner.network.images import NetworkViews, compose
from backend.refiner.network.lora import add_lora
from backend.refiner.network.upsampling import unfold_upsampling
from backend.refiner.runtime.refining import seeded_noise
from backend.refiner.views import stack_samples


class _JoinedImages:
    """Self-attention over a number of images that is fixed."""

    def __init__(self, images: int, places: TokenPlaces | None, level: int) -> None:
        self.images, self.places, self.level = images, places, level

    def __call__(self, attn: Attention, hidden_states: torch.Tensor, **_: object) -> torch.Tensor:
        return ReshapedSelfAttention(self.level)(attn, hidden_states, images=self.images, places=self.places)


class PlainRefiner:
    """The same function as a `Refiner`'s `refine`, on copies of its networks."""

    def __init__(self, refiner: Refiner, lora: Mapping[NetworkName, LoraSpec], dtype: torch.dtype) -> None:
        """Copy.

        Args:
            refiner: prepared, its adapters folded.
            lora: which adapters to put on; they change nothing and cost what trained ones cost.
            dtype: of weights and activations.
        """
        self._refiner = refiner
        self.unet, self.vae, self.skips = copy.deepcopy((refiner.unet, refiner.vae, refiner.skips))
        for part, spec in lora.items():
            add_lora(getattr(self, part), spec)
        for network in (self.unet, self.vae, *([] if self.skips is None else [self.skips])):
            unfold_upsampling(network)
            network.to(refiner.device, dtype).eval().requires_grad_(False)
            in_memory_format(network, torch.contiguous_format)
        self.prompt = refiner.prompt.detach().to(dtype)
        self._dtype = dtype

    @torch.inference_mode()
    def refine(
        self, views: Sequence[RenderedView], portrait: np.ndarray, seed: int = 0, place: np.ndarray | None = None
    ) -> list[np.ndarray]:
        """V views (S, S), the portrait (S, S, 4) and its places (S, S, 3) to V images (S, S, 3) uint8."""
        refiner, config, device = self._refiner, self._refiner.config, self._refiner.device
        count = len(views)
        seen = [NetworkViews.of_view(view.rgba, view.confidence, view.place, view.warped) for view in views]
        images = NetworkViews.stack([*seen, NetworkViews.of_portrait(portrait, place)])
        images = images.map(lambda part: part.to(device, self._dtype))
        latents, features = encode(self.vae, images.stacked()[:, : self.vae.config.in_channels].contiguous())
        side = refiner.size // reduction(self.vae)
        noise = torch.from_numpy(seeded_noise((1, self.vae.config.latent_channels, side, side), seed)).to(latents)
        noisy = torch.cat([mix_noise(latents[:count], noise, config.noise_level), latents[count:]])
        places, levels = None, len(self.unet.config.block_out_channels)
        if config.coordinates:
            place_channels = place_features(images.place, reduction(self.vae))
            noisy = torch.cat([noisy, place_channels], 1)
            places = TokenPlaces(place_channels[None], levels)
        self.unet.set_attn_processor(
            {
                name: _JoinedImages(count + 1, places, level_of(name, levels))
                if name.endswith("attn1.processor")
                else AttnProcessor2_0()
                for name in self.unet.attn_processors
            }
        )
        predicted = self.unet(noisy, config.timestep, self.prompt.expand(count + 1, -1, -1)).sample
        clean = clean_latent(refiner.pictured(noisy), predicted, signal_level(config))
        decoded = decode(self.vae, clean, self.skips, features)[:count]
        rgba, _, turned, _, _ = map(torch.from_numpy, stack_samples([views]))
        result = refiner.refinement(
            images.map(lambda part: part[None, :count]), decoded[None], latents[None, :count], turned.to(device)
        )
        refined, _ = compose(rgba.to(device), result.correction)
        return list(refined[0].cpu().numpy())
