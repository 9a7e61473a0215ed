"""The refiner's mathematics: one module for every preset, over diffusers' stock U-Net and autoencoder."""

from __future__ import annotations

import numpy as np
import torch
from diffusers import AutoencoderKL, AutoencoderTiny, UNet2DConditionModel
from torch import nn

from backend.refiner.config import RefinerConfig
from backend.refiner.network.attention import reshape_attention
from backend.refiner.network.autoencoder import Skips, decode, encode, reduction
from backend.refiner.network.coordinates import TokenPlaces, place_features
from backend.refiner.network.detail import keep_detail, lasting_detail
from backend.refiner.network.diffusion import clean_latent, mix_noise, signal_level
from backend.refiner.network.fit import check_networks
from backend.refiner.network.head_share import head_share
from backend.refiner.network.images import NetworkViews, compose
from backend.refiner.network.refinement import Refinement
from backend.refiner.network.robustness import doubt_outliers
from backend.refiner.network.unet import predict_noise


class RefinerNetwork(nn.Module):
    """V novel views and the reference portrait in one U-Net evaluation (paper, section 3.2).

    Args:
        config: the preset's settings.
        unet: a U-Net that predicts noise, as diffusers builds it; its attention processors are replaced.
        vae: the autoencoder: 5 input channels (RGB over grey, alpha, confidence) or 3 (RGB over grey), 11 with
            `config.coordinates`; 3 output channels, with `config.blend` 4 as well, and with both 5: see `refinement`.
        prompt: (1, T, D) embedding that all images cross-attend to.

    Raises:
        ValueError: the networks do not fit each other or the config.
    """

    timestep: torch.Tensor

    def __init__(
        self,
        config: RefinerConfig,
        unet: UNet2DConditionModel,
        vae: AutoencoderKL | AutoencoderTiny,
        prompt: torch.Tensor,
    ) -> None:
        super().__init__()
        check_networks(config, unet, vae, prompt)
        self.config = config
        self.unet = unet
        self.vae = vae
        self.skips = Skips(vae) if config.skips else None
        self.prompt = nn.Parameter(prompt, requires_grad=config.prompt_tokens > 0)
        # On the device like the weights: a CUDA graph cannot bring it there.
        self.register_buffer("timestep", torch.tensor(config.timestep), persistent=False)
        self._signal = signal_level(config)
        self.latent_channels = vae.config.latent_channels
        self.reduction = reduction(vae)
        self.levels = len(unet.config.block_out_channels)
        reshape_attention(unet)

    def refined_pictures(
        self,
        rgba: torch.Tensor,
        confidence: torch.Tensor,
        turned: torch.Tensor,
        place: torch.Tensor,
        warped: torch.Tensor,
        reference: torch.Tensor | None,
        noise: torch.Tensor,
        level: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """One evaluation, all of it on the device.

        Args:
            rgba: (B, V, S, S, 4) uint8; confidence: (B, V, S, S); turned: (B, V, S, S) radians.
            place: (B, V, S, S, 3) metres; warped: (B, V, S, S, 3) uint8.
            reference: (B or 1, R, c, h, w) or None.
            noise: (1, c, h, w); level: ().

        Returns:
            (B, V, S, S, 3) uint8, and (B, V) bool, see `compose`.
        """
        views = NetworkViews.of(rgba, confidence, place, warped).map(lambda part: part.to(self.dtype))
        return compose(rgba, self(views, reference, noise, level, turned).correction)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.prompt.device

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights."""
        return self.prompt.dtype

    def forward(
        self,
        views: NetworkViews,
        reference_latent: torch.Tensor | None,
        noise: torch.Tensor,
        noise_level: float | torch.Tensor,
        turned: torch.Tensor | None = None,
    ) -> Refinement:
        """Refine V views of each sample together.

        Args:
            views: (B, V, ...) each.
            reference_latent: (B, c, h, w), or (B, R, c, h, w) for R references, from `encode_images`; None for none:
                then the views do not know the warped portrait either.
            noise: (B, c, h, w), one drawing for all views of a sample, so that their order does not matter.
            noise_level: r, a number or (B,).
            turned: (B, V) or (B, V, H, W), radians off the portrait's view; None for that view itself.
        """
        batch, count = views.color.shape[:2]
        if reference_latent is None:
            views = views._replace(warped=torch.zeros_like(views.warped))
        latents, features = self.encode_images(views.map(lambda part: part.flatten(0, 1)))
        latents = latents.unflatten(0, (batch, count))
        clean = self.denoise(self.noised(latents, noise, noise_level), reference_latent)
        decoded = decode(self.vae, clean.flatten(0, 1), self.skips, features).unflatten(0, (batch, count))
        return self.refinement(views, decoded, self.pictured(latents), turned)

    def encode_images(self, images: NetworkViews) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Images (N, ...) to latents (N, c, h, w) and the encoder's features.

        With coordinates the latents are (N, c + FEATURES, h, w): here and below c means them with what they carry.
        """
        latents, features = encode(self.vae, images.stacked()[:, : self.vae.config.in_channels])
        if self.config.coordinates:
            latents = torch.cat([latents, place_features(images.place, self.reduction)], 1)
        return latents, features

    def pictured(self, latents: torch.Tensor) -> torch.Tensor:
        """Of latents (..., c, h, w) the channels that are the picture's, without coordinates."""
        return latents[..., : self.latent_channels, :, :]

    def places(self, latents: torch.Tensor) -> torch.Tensor:
        """Of latents (..., c, h, w) the other channels: `coordinates.place_features`, none without coordinates."""
        return latents[..., self.latent_channels :, :, :]

    def noised(self, latents: torch.Tensor, noise: torch.Tensor, noise_level: float | torch.Tensor) -> torch.Tensor:
        """Latents (B, V, c, h, w) with noise (B, latent_channels, h, w) that spares the coordinates; see `forward`."""
        level = torch.as_tensor(noise_level, device=latents.device, dtype=latents.dtype).reshape(-1, 1, 1, 1, 1)
        clean = self.pictured(latents)
        noisy = mix_noise(clean, noise[:, None].to(clean), level)
        return torch.cat([noisy, self.places(latents)], 2)

    def denoise(self, noisy: torch.Tensor, reference_latent: torch.Tensor | None) -> torch.Tensor:
        """Noisy latents (B, V, c, h, w) and clean references (B, [R,] c, h, w) to the views' clean pictured latents."""
        images = noisy
        if reference_latent is not None:
            latent = reference_latent if reference_latent.ndim == 5 else reference_latent[:, None]
            images = torch.cat([noisy, latent.to(noisy).expand(len(noisy), -1, -1, -1, -1)], dim=1)
        predicted = self.predict(images, noisy.shape[1], self.timestep)
        return clean_latent(self.pictured(noisy), predicted, self._signal)

    def predict(self, images: torch.Tensor, views: int, timestep: torch.Tensor) -> torch.Tensor:
        """The noise (B, V, latent_channels, h, w) in the first V of the latents (B, V + R, c, h, w); see `unet`."""
        places = None
        if self.config.coordinates:
            places = TokenPlaces(self.places(images), self.levels)
        return predict_noise(self.unet, images, timestep, self.prompt, views, places)

    def refinement(
        self, views: NetworkViews, decoded: torch.Tensor, latents: torch.Tensor, turned: torch.Tensor | None
    ) -> Refinement:
        """What the decoder's raw output (B, V, 3, 4 or 5, H, W) means for views (B, V, ...) of these latents.

        Three channels are the picture; four a correction of the raw one and its mask; a fifth says how much of the
        warped portrait is to be taken first, where it is known: its detail need not pass through the latents.
        """
        alpha, confidence = (views.alpha + 1) / 2, (views.confidence + 1) / 2
        doubt = mask = share = torch.ones_like(alpha)
        if self.config.blend:
            doubt = 1 - self._blend_strength(turned) * (confidence / self.config.full_confidence).clamp(0, 1)
        if decoded.shape[2] > 3:
            correction, mask = decoded[:, :, :3], torch.sigmoid(decoded[:, :, 3:4])
        else:
            # Infinity must not be clamped to a colour: see `images.compose`.
            picture = torch.where(decoded.isfinite(), decoded.clamp(-1, 1), torch.nan)
            correction = picture - views.color
        if decoded.shape[2] == 5:
            taken = torch.sigmoid(decoded[:, :, 4:]) * (views.warped != 0).any(2, keepdim=True)
            correction = correction + taken * (views.warped - views.color)
        correction = mask * correction
        if self.config.head_only:
            share = head_share(views.place)
        if self.config.kept_detail:
            # Of a part alone, training would learn to overshoot, until what is left of a change undoes the rest.
            kept = 1.0 if self.training else self.config.kept_detail
            lasting = lasting_detail(confidence, views.place)
            correction = keep_detail(correction, alpha * share, lasting, kept)
        bound = doubt * share * self._change_strength(turned)
        correction = bound * correction
        if self.config.outlier_scale and not self.training:
            correction = doubt_outliers(correction, self.config.outlier_scale / 127.5)
        return Refinement(correction, bound * mask, latents)

    def _blend_strength(self, turned: torch.Tensor | None) -> torch.Tensor | float:
        """(B, V, 1, H or 1, W or 1) in [0, 1]: how far the blend holds where a view is so turned."""
        if turned is None or self.config.free_turn is None:
            return 1.0
        return _falling(turned, self.config.free_turn).clamp(min=self.config.least_hold)

    def _change_strength(self, turned: torch.Tensor | None) -> torch.Tensor | float:
        """(B, V, 1, H or 1, W or 1) in [0, 1]: how far views that are so turned are changed."""
        if turned is None or self.config.last_turn is None:
            return 1.0
        return _falling(turned, self.config.last_turn)


def _falling(turned: torch.Tensor, turns: tuple[float, float]) -> torch.Tensor:
    """(B, V, 1, H or 1, W or 1): 1 up to the first of two turns in degrees, 0 from the second on, of (B, V) radians or
    (B, V, H, W)."""
    first, last = np.radians(turns).tolist()
    turned = turned if turned.ndim == 4 else turned[..., None, None]
    return ((last - turned) / (last - first)).clamp(0.0, 1.0)[:, :, None]
