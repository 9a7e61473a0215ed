"""The refiner itself: one class for every preset, over diffusers' stock U-Net and autoencoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import nn

from backend.refiner import storage
from backend.refiner.attention import freeze_prompt, reshape_attention
from backend.refiner.autoencoder import Skips, decode, encode
from backend.refiner.config import RefinerConfig, preset_folder
from backend.refiner.diffusion import clean_latent, mix_noise, seeded_noise, signal_level
from backend.refiner.images import check_square, compose, reference_tensor, view_tensor

if TYPE_CHECKING:
    from backend.avatars.base import RenderedView


@dataclass(frozen=True)
class ReferenceState:
    """What is computed once per portrait.

    Only the latent: in the U-Net the reference's tokens attend to the novel views' from the first self-attention on, so
    its keys and values change with them and cannot be kept exactly.

    Attributes:
        latent: (1, c, h, w), clean.
    """

    latent: torch.Tensor


class Refinement(NamedTuple):
    """What the networks say about V views.

    Attributes:
        correction: (B, V, 3, H, W), to be added to the raw colours (in [-1, 1]) times `change`.
        change: (B, V, 1, H, W) in [0, 1], zero wherever the photo's confidence is full (with `blend`; else 1).
        mask: (B, V, 1, H, W) in [0, 1], the learned part of `change`.
        latents: (B, V, c, h, w), the views' latents before the noise.
    """

    correction: torch.Tensor
    change: torch.Tensor
    mask: torch.Tensor
    latents: torch.Tensor

    def apply(self, views: torch.Tensor) -> torch.Tensor:
        """The refined colours (B, V, 3, H, W) over grey, for views (B, V, 5, H, W)."""
        alpha = (views[:, :, 3:4] + 1) / 2
        return views[:, :, :3] + alpha * self.change * self.correction


class Refiner(nn.Module):
    """TurboPortrait3D's refiner (paper, section 3.2): V novel views and the reference portrait in one U-Net evaluation.

    Args:
        config: the preset's settings.
        unet: a U-Net that predicts noise, as diffusers builds it; its attention processors are replaced.
        vae: the autoencoder: 5 input channels (RGB over grey, alpha, confidence) or 3 (RGB over grey); 4 output
            channels with `config.blend`, else 3.
        prompt: (1, T, D) embedding that all images cross-attend to.

    Raises:
        ValueError: the networks do not fit each other or the config.
    """

    def __init__(
        self, config: RefinerConfig, unet: UNet2DConditionModel, vae: AutoencoderKL, prompt: torch.Tensor
    ) -> None:
        super().__init__()
        _check_fit(config, unet, vae, prompt)
        self.config = config
        self.unet = unet
        self.vae = vae
        self.skips = Skips(vae) if config.skips else None
        self.prompt = nn.Parameter(prompt, requires_grad=config.prompt_tokens > 0)
        self._signal = signal_level(config)
        reshape_attention(unet)

    @classmethod
    def from_preset(cls, name: str, device: str | torch.device = "cpu", base: str | Path | None = None) -> Refiner:
        """A preset that ships, by name; see `from_pretrained`."""
        return cls.from_pretrained(preset_folder(name), device, base)

    @classmethod
    def from_pretrained(
        cls, name: str | Path, device: str | torch.device = "cpu", base: str | Path | None = None
    ) -> Refiner:
        """Load a refiner's folder, ready for use.

        Args:
            name: a local folder, or a Hugging Face hub name.
            device: where it shall run.
            base: a hub name or diffusers folder in place of the one that the config names.

        Raises:
            FileNotFoundError: the weights are not there; the message says where to get them.
            ValueError: they do not fit the config.
        """
        return storage.load(cls, name, base).prepare(device)

    @classmethod
    def from_config(cls, folder: str | Path) -> Refiner:
        """A refiner of the folder's architecture with fresh weights that changes nothing yet, for training."""
        refiner = storage.build(cls, folder)
        if refiner.config.blend:
            nn.init.zeros_(refiner.vae.decoder.conv_out.weight)
            nn.init.zeros_(refiner.vae.decoder.conv_out.bias)
        return refiner

    def save_pretrained(self, folder: str | Path) -> None:
        """Write config and weights (safetensors) so that `from_pretrained` gives the same refiner."""
        storage.save(self, folder)

    def prepare(self, device: str | torch.device = "cpu") -> Refiner:
        """Make ready for use: evaluation mode, the prompt's keys and values computed once, channels last.

        Channels-last float32 measured fastest on the CPU; bfloat16 was slower on one without matrix units.
        """
        self.to(device).to(memory_format=torch.channels_last).eval().requires_grad_(False)
        freeze_prompt(self.unet, self.prompt)
        return self

    @property
    def size(self) -> int:
        """Pixels, the side of the square views."""
        return self.config.size

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.prompt.device

    def forward(
        self,
        views: torch.Tensor,
        reference_latent: torch.Tensor | None,
        noise: torch.Tensor,
        noise_level: float | torch.Tensor,
    ) -> Refinement:
        """Refine V views of each sample together.

        Args:
            views: (B, V, 5, H, W), see `images.view_tensor`.
            reference_latent: (B, c, h, w) from `encode_images`, or None for no reference.
            noise: (B, c, h, w), one drawing for all views of a sample, so that their order does not matter.
            noise_level: r, a number or (B,).
        """
        batch, count = views.shape[:2]
        latents, features = self.encode_images(views.flatten(0, 1))
        latents = latents.unflatten(0, (batch, count))
        level = torch.as_tensor(noise_level, device=views.device, dtype=latents.dtype).reshape(-1, 1, 1, 1, 1)
        noisy = mix_noise(latents, noise[:, None].to(latents), level)
        clean = self.denoise(noisy, reference_latent)
        decoded = decode(self.vae, clean.flatten(0, 1), self.skips, features).unflatten(0, (batch, count))
        return self._refinement(views, decoded, latents)

    def encode_images(self, images: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Images (N, 5, H, W) to latents (N, c, h, w) and the encoder's features."""
        return encode(self.vae, images[:, : self.vae.config.in_channels])

    def denoise(self, noisy: torch.Tensor, reference_latent: torch.Tensor | None) -> torch.Tensor:
        """Noisy latents (B, V, c, h, w) and the clean reference (B, c, h, w) to the views' clean latents."""
        batch, count = noisy.shape[:2]
        if reference_latent is None:
            images = noisy
        else:
            images = torch.cat([noisy, reference_latent[:, None].expand(batch, -1, -1, -1, -1)], dim=1)
        flat = images.flatten(0, 1)
        predicted = self.unet(
            flat,
            self.config.timestep,
            self.prompt.expand(len(flat), -1, -1),
            cross_attention_kwargs={"images": images.shape[1]},
        ).sample
        return clean_latent(noisy, predicted.unflatten(0, images.shape[:2])[:, :count], self._signal)

    def _refinement(self, views: torch.Tensor, decoded: torch.Tensor, latents: torch.Tensor) -> Refinement:
        if not self.config.blend:
            everywhere = torch.ones_like(views[:, :, :1])
            return Refinement(decoded.clamp(-1, 1) - views[:, :, :3], everywhere, everywhere, latents)
        mask = torch.sigmoid(decoded[:, :, 3:])
        confidence = (views[:, :, 4:5] + 1) / 2
        doubt = 1 - (confidence / self.config.full_confidence).clamp(0, 1)
        return Refinement(decoded[:, :, :3], doubt * mask, mask, latents)

    @torch.inference_mode()
    def encode_reference(self, rgba: np.ndarray) -> ReferenceState:
        """Encode the portrait once.

        Args:
            rgba: (S, S, 4) uint8, straight alpha (the matte), S = `size`.

        Raises:
            ValueError: another size or type.
        """
        check_square(rgba, self.size, "the reference portrait")
        latent, _ = self.encode_images(self._on_device(reference_tensor(rgba)[None]))
        return ReferenceState(latent)

    @torch.inference_mode()
    def refine(
        self,
        views: Sequence[RenderedView],
        reference: ReferenceState | None,
        noise_level: float | None = None,
        seed: int = 0,
    ) -> list[np.ndarray]:
        """Refine views of one moment together.

        Args:
            views: V raw views, S x S each.
            reference: from `encode_reference`; None leaves the portrait out.
            noise_level: r in [0, 1]; the config's if None.
            seed: decides the noise; one per avatar keeps a still camera still.

        Returns:
            V images (S, S, 3) uint8 in the order of the views; alpha stays the raw view's.

        Raises:
            ValueError: a view of another size, or a noise level outside [0, 1].
        """
        level = self.config.noise_level if noise_level is None else noise_level
        if not 0 <= level <= 1:
            raise ValueError(f"the noise level must be in [0, 1], not {level}")
        for view in views:
            check_square(view.rgba, self.size, "a view to refine")
        if not views:
            return []
        stacked = torch.stack([view_tensor(view.rgba, view.confidence) for view in views])
        batch = self._on_device(stacked)[None]
        factor = 2 ** (len(self.vae.config.block_out_channels) - 1)
        shape = (1, self.unet.config.in_channels, self.size // factor, self.size // factor)
        noise = seeded_noise(shape, seed).to(self.device)
        result = self(batch, None if reference is None else reference.latent, noise, level)
        correction = (127.5 * result.change * result.correction)[0].permute(0, 2, 3, 1).float().cpu().numpy()
        return [compose(view, delta) for view, delta in zip(views, correction, strict=True)]

    def _on_device(self, images: torch.Tensor) -> torch.Tensor:
        return images.to(self.device, self.vae.dtype, memory_format=torch.channels_last)


def _check_fit(config: RefinerConfig, unet: UNet2DConditionModel, vae: AutoencoderKL, prompt: torch.Tensor) -> None:
    outputs = 4 if config.blend else 3
    if vae.config.in_channels not in (3, 5) or vae.config.out_channels != outputs:
        raise ValueError(
            f"the autoencoder has {vae.config.in_channels} input and {vae.config.out_channels} output channels; "
            f"the refiner {config.name!r} needs 3 or 5 and {outputs}"
        )
    if unet.config.in_channels != vae.config.latent_channels or unet.config.out_channels != vae.config.latent_channels:
        raise ValueError(
            f"the U-Net works on {unet.config.in_channels} latent channels, the autoencoder gives "
            f"{vae.config.latent_channels}: they do not belong together"
        )
    if prompt.ndim != 3 or prompt.shape[0] != 1 or prompt.shape[2] != unet.config.cross_attention_dim:
        raise ValueError(
            f"the prompt's embedding is {tuple(prompt.shape)}; "
            f"the U-Net needs (1, T, {unet.config.cross_attention_dim})"
        )
