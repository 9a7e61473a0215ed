"""A discriminator over the frozen features of a vision transformer that the user has."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import interpolate
from torch.nn.utils.parametrizations import spectral_norm

from backend.protocol.errors import TurboPortraitError

HEAD_WIDTH = 128


class FeatureDiscriminator(nn.Module):
    """Small heads over several hidden states of a frozen vision transformer.

    As in StyleGAN-T (Sauer et al. 2023) and in the adversarial distillation that made Stable Diffusion Turbo: the
    features tell photographs from pictures from the start, and only the heads learn. The heads have spectral norm.

    Args:
        backbone: a vision transformer of transformers; its last hidden states are the patches'.
        size: pixels of the square that pictures are scaled to.
        mean, std: three numbers each, what the backbone's pictures in [0, 1] are normalised by.
        layers: how many hidden states get a head, evenly spaced and the last among them.
    """

    def __init__(self, backbone: nn.Module, size: int, mean: list[float], std: list[float], layers: int = 4) -> None:
        super().__init__()
        self.backbone = backbone.eval().requires_grad_(False)
        config = backbone.config
        depth, self.size, self.grid = config.num_hidden_layers, size, size // config.patch_size
        count = min(layers, depth)
        self.taps = [round(depth * (i + 1) / count) for i in range(count)]
        self.heads = nn.ModuleList(_head(config.hidden_size) for _ in self.taps)
        self.register_buffer("mean", torch.tensor(mean).reshape(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).reshape(1, 3, 1, 1), persistent=False)

    @classmethod
    def from_folder(cls, folder: str | Path, layers: int = 4) -> FeatureDiscriminator:
        """With a backbone in transformers' format: config.json, model.safetensors, preprocessor_config.json.

        Raises:
            TurboPortraitError: `training_weights`: the folder is not complete, or not of a vision transformer.
        """
        from transformers import AutoModel

        try:
            model = AutoModel.from_pretrained(Path(folder).resolve(), local_files_only=True, use_safetensors=True)
            preparation = json.loads((Path(folder) / "preprocessor_config.json").read_text())
            # CLIP has a text side too.
            backbone = getattr(model, "vision_model", model)
            # DINOv2 was trained at a larger size than it is used at.
            size = preparation.get("crop_size", {}).get("height", backbone.config.image_size)
            return cls(backbone, size, preparation["image_mean"], preparation["image_std"], layers)
        except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
            raise TurboPortraitError("training_weights", f"the discriminator's backbone {folder}: {error}") from error

    def train(self, mode: bool = True) -> FeatureDiscriminator:
        """Only the heads change."""
        super().train(mode)
        self.backbone.eval()
        return self

    def forward(self, pictures: torch.Tensor) -> list[torch.Tensor]:
        """Pictures (N, 3, H, W) in [-1, 1] to logits (N, 1, h, w) per head; larger is more photo-like."""
        resized = interpolate(pictures, (self.size, self.size), mode="bilinear", antialias=True, align_corners=False)
        states = self.backbone(((resized + 1) / 2 - self.mean) / self.std, output_hidden_states=True).hidden_states
        verdicts = []
        for tap, head in zip(self.taps, self.heads, strict=True):
            # Before the patches come the class token and, in some models, registers.
            patches = states[tap][:, -(self.grid**2) :].transpose(1, 2).unflatten(2, (self.grid, self.grid))
            verdicts.append(head(patches))
        return verdicts


def _head(channels: int) -> nn.Sequential:
    return nn.Sequential(
        spectral_norm(nn.Conv2d(channels, HEAD_WIDTH, 1)),
        nn.LeakyReLU(0.2),
        spectral_norm(nn.Conv2d(HEAD_WIDTH, HEAD_WIDTH, 3, padding=1)),
        nn.LeakyReLU(0.2),
        spectral_norm(nn.Conv2d(HEAD_WIDTH, 1, 1)),
    )
