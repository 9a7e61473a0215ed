"""The refiner of every preset on torch: loading, saving, making ready, and running its network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from backend.models.memory_format import in_memory_format
from backend.refiner import storage
from backend.refiner.config import RefinerConfig, preset_folder
from backend.refiner.network.attention import freeze_prompt
from backend.refiner.network.images import NetworkViews
from backend.refiner.network.refiner_network import RefinerNetwork
from backend.refiner.network.upsampling import fold_upsampling
from backend.refiner.runtime.refining import Refined, Refining
from backend.refiner.runtime.static_runner import StaticRunner, can_compile, keep_freed_memory
from backend.refiner.views import ViewArrays


class Refiner(RefinerNetwork, Refining):
    """TurboPortrait3D's refiner (paper, section 3.2), as `Refining` has it."""

    _runner: StaticRunner | None = None

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
        in_memory_format(self.to(device, dtype), torch.channels_last).eval().requires_grad_(False)
        freeze_prompt(self.unet, self.prompt)
        for network in (self.unet, self.vae):
            fold_upsampling(network)
        if device.type == "cpu":
            keep_freed_memory()
        else:
            torch.backends.cudnn.benchmark = True
        self._runner = StaticRunner(self.refined_pictures, device, self._worth_compiling)
        return self

    @property
    def runner(self) -> Callable[..., tuple[torch.Tensor, ...]]:
        """`refined_pictures`; once prepared, on buffers and graphs that are kept."""
        return self._runner or self.refined_pictures

    def _worth_compiling(self, rgba: torch.Tensor, **_: torch.Tensor | None) -> bool:
        """On a GPU the paper's case, two views of one sample."""
        return can_compile(self.device) and tuple(rgba.shape[:2]) == (1, 2)

    @property
    def in_boxes(self) -> bool:
        """See `Refining`."""
        return self.config.head_only and self.device.type == "cpu"

    @torch.inference_mode()
    def encode_pictures(self, views: ViewArrays) -> np.ndarray:
        """See `Refining`."""
        rgba, confidence, place, warped = map(
            torch.from_numpy, (views.rgba, views.confidence, views.place, views.warped)
        )
        pictures = NetworkViews.of(rgba[0], confidence[0], place[0], warped[0])
        on_device = pictures.map(lambda part: part.to(self.device, self.dtype))
        return self.encode_images(on_device)[0].float().cpu().numpy()

    @torch.inference_mode()
    def evaluate(self, views: ViewArrays, reference: np.ndarray | None, noise: np.ndarray, level: float) -> Refined:
        """See `Refining`."""
        inputs = {name: torch.from_numpy(x) for name, x in views._asdict().items()}
        inputs |= {"noise": torch.from_numpy(noise), "level": torch.tensor(level)}
        try:
            placed = {name: x.to(self.device) for name, x in inputs.items()}
            latents = None if reference is None else torch.from_numpy(reference).to(self.device, self.dtype)
            # The runner's own buffers are overwritten by the next call.
            pictures, sound = (x.to("cpu", copy=True).numpy() for x in self.runner(**placed, reference=latents))
            return pictures, sound
        except (torch.OutOfMemoryError, RuntimeError) as error:
            # The CPU's allocator has no exception of its own.
            if not isinstance(error, torch.OutOfMemoryError) and "can't allocate memory" not in str(error):
                raise
            reason = str(error)
        if self.device.type == "cuda":
            if self._runner is not None:
                self._runner.forget()
            torch.cuda.empty_cache()
        raise MemoryError(reason)
