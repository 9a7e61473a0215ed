"""The refiner itself: one class for every preset, over diffusers' stock U-Net and autoencoder."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, AutoencoderTiny, UNet2DConditionModel
from torch import nn

from backend.avatars.base import RenderedView
from backend.refiner import inference, storage
from backend.refiner.attention import freeze_prompt, reshape_attention
from backend.refiner.autoencoder import Skips, decode, encode, reduction
from backend.refiner.config import RefinerConfig, preset_folder
from backend.refiner.coordinates import TokenPlaces, place_features
from backend.refiner.cropping import head_share
from backend.refiner.detail import keep_detail
from backend.refiner.diffusion import clean_latent, mix_noise, signal_level
from backend.refiner.fit import check_networks
from backend.refiner.images import PICTURE, WARPED
from backend.refiner.refinement import ReferenceState, Refinement
from backend.refiner.runtime import StaticRunner, keep_freed_memory
from backend.refiner.unet import predict_noise
from backend.refiner.upsampling import fold_upsampling

log = logging.getLogger(__name__)


class Refiner(nn.Module):
    """TurboPortrait3D's refiner (paper, section 3.2): V novel views and the reference portrait in one U-Net evaluation.

    Args:
        config: the preset's settings.
        unet: a U-Net that predicts noise, as diffusers builds it; its attention processors are replaced.
        vae: the autoencoder: 5 input channels (RGB over grey, alpha, confidence) or 3 (RGB over grey), 11 with
            `config.coordinates`; 3 output channels, with `config.blend` 4 as well, and with both 5: see `refinement`.
        prompt: (1, T, D) embedding that all images cross-attend to.

    Raises:
        ValueError: the networks do not fit each other or the config.
    """

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
        self._runner: StaticRunner | None = None
        reshape_attention(unet)

    @classmethod
    def from_preset(cls, name: str, device: str | torch.device = "cpu", base: str | Path | None = None) -> Refiner:
        """A preset that ships, by name; see `from_pretrained`."""
        return cls.from_pretrained(preset_folder(name), device, base)

    @classmethod
    def from_pretrained(
        cls, name: str | Path, device: str | torch.device = "cpu", base: str | Path | None = None
    ) -> Refiner:
        """Load a refiner's folder, its adapters folded in, ready for use.

        Args:
            name: a local folder, or a Hugging Face hub name.
            device: where it shall run.
            base: a hub name or diffusers folder in place of the one that the config names. Hub models that are named
                here are downloaded where they are not on this machine yet; the config's own base is not.

        Raises:
            FileNotFoundError: the weights are not there; the message says where to get them.
            ValueError: they do not fit the config, the preset's architecture or the adapters.
        """
        return storage.load(cls, name, base).prepare(device)

    @classmethod
    def from_config(cls, folder: str | Path) -> Refiner:
        """A refiner of the folder's architecture with fresh weights that changes nothing yet."""
        refiner = storage.build(cls, folder)
        if refiner.config.blend:
            nn.init.zeros_(refiner.vae.decoder.conv_out.weight)
            nn.init.zeros_(refiner.vae.decoder.conv_out.bias)
            # The mask begins nearly open: through a shut one no correction would ever be learned.
            nn.init.ones_(refiner.vae.decoder.conv_out.bias[3:4])
            nn.init.constant_(refiner.vae.decoder.conv_out.bias[4:], -30)
        for convolution in refiner.skips or ():
            # Nothing was trained without skips yet, so there is nothing to begin as.
            nn.init.xavier_uniform_(convolution.weight)
        return refiner

    @classmethod
    def for_training(cls, folder: str | Path, base: str | Path | None = None) -> Refiner:
        """A refiner to be trained, in float32 on the CPU.

        Where the folder's config names a base model: that one, with adapters that are on and not folded (those of the
        folder, if it holds any, else ones that change nothing yet); only the adapters, the skips and a prompt that is
        learned are trainable. Where it names none: fresh weights, all of them trainable, as `from_config`.

        Args:
            folder: a preset's folder, or one that `save_adapters` wrote.
            base: a hub name or diffusers folder in place of the one that the config names.

        Raises:
            FileNotFoundError, ValueError: as `from_pretrained`.
        """
        if base is None and RefinerConfig.load(folder).base is None:
            refiner = cls.from_config(folder)
            # It begins by finding no noise, as diffusion models do.
            nn.init.zeros_(refiner.unet.conv_out.weight)
            nn.init.zeros_(refiner.unet.conv_out.bias)
            if refiner.config.blend:
                # Of a share of nothing nothing would be learned either.
                nn.init.constant_(refiner.vae.decoder.conv_out.bias[4:], -2)
            return refiner
        refiner = storage.load_for_training(cls, folder, base)
        if refiner.skips is not None:
            refiner.skips.requires_grad_(True)
        refiner.prompt.requires_grad_(refiner.config.prompt_tokens > 0)
        return refiner

    def save_pretrained(self, folder: str | Path) -> None:
        """Write config and weights (safetensors) so that `from_pretrained` gives the same refiner.

        Raises:
            ValueError: adapters are on and not folded.
        """
        storage.save(self, folder)

    def save_adapters(self, folder: str | Path) -> None:
        """Write what was trained alone: config with base and lora, adapters, prompt and skips (safetensors).

        `from_pretrained` puts it together with its base model again.

        Raises:
            ValueError: there are no adapters, or they are folded.
        """
        storage.save_adapters(self, folder)

    def prepare(self, device: str | torch.device = "cpu", dtype: torch.dtype | None = None) -> Refiner:
        """Make ready for use: evaluation mode, channels last, and what the weights alone decide computed once.

        Args:
            device: where it shall run.
            dtype: of weights and activations; by default float16 on a GPU and float32 elsewhere (on CPUs without
                matrix units bfloat16 measured slower: `docs/measurements/refiner_speed.md`).
        """
        device = torch.device(device)
        dtype = dtype or (torch.float16 if device.type == "cuda" else torch.float32)
        self.to(device, dtype).to(memory_format=torch.channels_last).eval().requires_grad_(False)
        freeze_prompt(self.unet, self.prompt)
        for network in (self.unet, self.vae):
            fold_upsampling(network)
        if device.type == "cpu":
            keep_freed_memory()
        else:
            torch.backends.cudnn.benchmark = True
        self._runner = inference.runner(self)
        return self

    def warm_up(self) -> Refiner:
        """Refine one view, then two, of nothing: what happens once per shape has happened then; the log says so."""
        nothing = np.zeros((self.size, self.size, 4), np.uint8)
        view = RenderedView.empty(self.size, self.size)
        reference = self.encode_reference(nothing)
        for count in (1, 2):
            log.info("warming up the refiner %s on %s: %d of 2", self.config.name, self.device, count)
            self.refine([view] * count, reference)
        return self

    @property
    def runner(self) -> Callable[..., tuple[torch.Tensor, ...]]:
        """`inference.refined_pictures` of this refiner; once prepared, on buffers and graphs that are kept."""
        return self._runner or partial(inference.refined_pictures, self)

    @property
    def size(self) -> int:
        """Pixels, the side of the square views."""
        return self.config.size

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
        views: torch.Tensor,
        reference_latent: torch.Tensor | None,
        noise: torch.Tensor,
        noise_level: float | torch.Tensor,
        turned: torch.Tensor | None = None,
    ) -> Refinement:
        """Refine V views of each sample together.

        Args:
            views: (B, V, 11, H, W), see `images.network_views`.
            reference_latent: (B, c, h, w), or (B, R, c, h, w) for R references, from `encode_images`; None for none:
                then the views do not know the warped portrait either.
            noise: (B, c, h, w), one drawing for all views of a sample, so that their order does not matter.
            noise_level: r, a number or (B,).
            turned: (B, V) or (B, V, H, W), radians off the portrait's view; None for that view itself.
        """
        batch, count = views.shape[:2]
        if reference_latent is None:
            views = torch.cat([views[:, :, :WARPED], torch.zeros_like(views[:, :, WARPED:])], 2)
        latents, features = self.encode_images(views.flatten(0, 1))
        latents = latents.unflatten(0, (batch, count))
        clean = self.denoise(self.noised(latents, noise, noise_level), reference_latent)
        decoded = decode(self.vae, clean.flatten(0, 1), self.skips, features).unflatten(0, (batch, count))
        return self.refinement(views, decoded, self.pictured(latents), turned)

    def encode_images(self, images: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Images (N, 11, H, W) to latents (N, c, h, w) and the encoder's features.

        With coordinates the latents are (N, c + FEATURES, h, w): here and below c means them with what they carry.
        """
        latents, features = encode(self.vae, images[:, : self.vae.config.in_channels])
        if self.config.coordinates:
            latents = torch.cat([latents, place_features(images[:, PICTURE:WARPED], reduction(self.vae))], 1)
        return latents, features

    def pictured(self, latents: torch.Tensor) -> torch.Tensor:
        """Of latents (..., c, h, w) the channels that are the picture's, without coordinates."""
        return latents[..., : self.vae.config.latent_channels, :, :]

    def told(self, latents: torch.Tensor) -> torch.Tensor:
        """Of latents (..., c, h, w) the other channels: `coordinates.place_features`, none without coordinates."""
        return latents[..., self.vae.config.latent_channels :, :, :]

    def noised(self, latents: torch.Tensor, noise: torch.Tensor, noise_level: float | torch.Tensor) -> torch.Tensor:
        """Latents (B, V, c, h, w) with noise (B, latent_channels, h, w) that spares the coordinates; see `forward`."""
        level = torch.as_tensor(noise_level, device=latents.device, dtype=latents.dtype).reshape(-1, 1, 1, 1, 1)
        clean = self.pictured(latents)
        noisy = mix_noise(clean, noise[:, None].to(clean), level)
        return torch.cat([noisy, self.told(latents)], 2)

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
            places = TokenPlaces(self.told(images), len(self.unet.config.block_out_channels))
        return predict_noise(self.unet, images, timestep, self.prompt, views, places)

    def refinement(
        self, views: torch.Tensor, decoded: torch.Tensor, latents: torch.Tensor, turned: torch.Tensor | None
    ) -> Refinement:
        """What the decoder's raw output (B, V, 3, 4 or 5, H, W) means for views (B, V, 11, H, W) of these latents.

        Three channels are the picture; four a correction of the raw one and its mask; a fifth says how much of the
        warped portrait is to be taken first, where it is known: its detail need not pass through the latents.
        """
        alpha, confidence = ((views[:, :, channel : channel + 1] + 1) / 2 for channel in (3, 4))
        doubt = mask = share = torch.ones_like(alpha)
        if self.config.blend:
            doubt = 1 - self._held(turned) * (confidence / self.config.full_confidence).clamp(0, 1)
        if decoded.shape[2] > 3:
            correction, mask = decoded[:, :, :3], torch.sigmoid(decoded[:, :, 3:4])
        else:
            # Infinity must not be clamped to a colour: see `images.compose`.
            picture = torch.where(decoded.isfinite(), decoded.clamp(-1, 1), torch.nan)
            correction = picture - views[:, :, :3]
        if decoded.shape[2] == 5:
            warped = views[:, :, WARPED:]
            taken = torch.sigmoid(decoded[:, :, 4:]) * (warped != 0).any(2, keepdim=True)
            correction = correction + taken * (warped - views[:, :, :3])
        correction = mask * correction
        if self.config.head_only:
            share = head_share(views[:, :, PICTURE:WARPED])
        if self.config.kept_detail:
            # Of a part alone, training would learn to overshoot, until what is left of a change undoes the rest.
            kept = 1.0 if self.training else self.config.kept_detail
            correction = keep_detail(correction, alpha * share, confidence, kept)
        bound = doubt * share
        return Refinement(bound * correction, bound * mask, latents)

    def _held(self, turned: torch.Tensor | None) -> torch.Tensor | float:
        """(B, V, 1, H or 1, W or 1) in [0, 1]: how far the blend holds where a view is so turned."""
        if turned is None or self.config.free_turn is None:
            return 1.0
        held, free = np.radians(self.config.free_turn).tolist()
        turned = turned if turned.ndim == 4 else turned[..., None, None]
        return ((free - turned) / (free - held)).clamp(self.config.least_hold, 1)[:, :, None]

    def encode_reference(
        self,
        images: np.ndarray | Sequence[np.ndarray],
        places: np.ndarray | Sequence[np.ndarray | None] | None = None,
    ) -> ReferenceState:
        """Encode the portrait, or several of the same person, once.

        Args:
            images: (S, S, 4) uint8, straight alpha (the matte), S = `size`; or several of these.
            places: (S, S, 3), see `RenderedView.place`; one for each image where there are several; None: not known.

        Raises:
            ValueError: another size or type, or none at all.
        """
        if isinstance(images, np.ndarray):
            return inference.encode_reference(self, [images], [places])
        return inference.encode_reference(self, images, [None] * len(images) if places is None else places)

    def refine(
        self,
        views: Sequence[RenderedView],
        reference: ReferenceState | None,
        noise_level: float | None = None,
        seed: int = 0,
        warn: Callable[[str], None] | None = None,
    ) -> list[np.ndarray]:
        """Refine V views of one moment together: `refine_batch` of this moment alone."""
        return self.refine_batch([views], reference, noise_level, seed, warn)[0]

    def refine_batch(
        self,
        moments: Sequence[Sequence[RenderedView]],
        reference: ReferenceState | Sequence[ReferenceState] | None,
        noise_level: float | None = None,
        seed: int = 0,
        warn: Callable[[str], None] | None = None,
    ) -> list[list[np.ndarray]]:
        """Refine several moments in one evaluation; the views of each see one another, not those of other moments.

        Args:
            moments: B moments of V raw views each, S x S.
            reference: from `encode_reference`; one for all moments, or one for each; None leaves the portrait out.
            noise_level: r in [0, 1]; the config's if None.
            seed: decides the noise; one per avatar keeps a still camera still.
            warn: told, in a sentence, when memory ran out and the batch was split, or when a view's result was not
                finite and its raw colours are returned instead; by default the log is.

        Returns:
            For each moment V images (S, S, 3) uint8 in the order of its views; alpha stays the raw view's.

        Raises:
            ValueError: a view of another size, moments of different V, a noise level outside [0, 1].
            TurboPortraitError: out_of_memory, where a single view is too much.
        """
        return inference.refine_batch(self, moments, reference, noise_level, seed, warn)
