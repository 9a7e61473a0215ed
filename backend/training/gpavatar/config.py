"""The settings of a run, typed: what a TOML file may say. docs/training_gpavatar.md explains them."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Self

import msgspec

from backend.avatars.gpavatar.config import GPAvatarConfig
from backend.protocol.errors import TurboPortraitError
from backend.training.config import Count, LpipsConfig, RunConfig, Share, StrictSettings, Weight, Whole


class GPAvatarLossConfig(StrictSettings, frozen=True):
    """The weights of the loss's terms (the published code's calc_metrics, commit 3ca7d44).

    Attributes:
        image: mean absolute differences of coarse, fine and final picture.
        box: the same inside the head's box, enlarged to `box_size` pixels.
        perceptual: of each picture; it needs AlexNet's weights, see `lpips`, and is left out with a warning without.
        density: the norm of all opacities of the coarse pass, so that space stays empty.
        box_size: pixels.
    """

    image: Weight = 1.0
    box: Weight = 0.5
    perceptual: Weight = 1e-2
    density: Weight = 1e-5
    box_size: Count = 256


class GPAvatarTrainingConfig(RunConfig, frozen=True):
    """A run that trains GPAvatar; the defaults are the published ones (configs/model/one.yaml, lightning_model.py).

    Attributes:
        head_model: the name of the head model that the shards' parameters are of, as `turboportrait models` lists it.
        portraits: of each head, other views than the one that is rendered.
        single: how often only the first of them is taken, so that one portrait serves too.
        learning_rate, betas: of Adam; a tenth of the rate for the style networks.
        decay, milestones: the factor of the rate after each of these steps.
        clip: the largest norm of the gradients; 0 leaves them as they are, as published.
        network: sizes that differ from the published ones, see `GPAvatarConfig`; `points` is the head model's.
    """

    head_model: str = "open_head"
    steps: Count = 200_000
    batch: Count = 2
    portraits: Count = 2
    single: Share = 0.3
    learning_rate: Weight = 1e-4
    betas: tuple[Share, Share] = (0.0, 0.99)
    decay: Share = 0.2
    milestones: tuple[Whole, ...] = (130_000, 160_000)
    clip: Weight = 0.0
    checkpoint_every: Count = 1000
    log_every: Count = 50
    pictures_every: Count = 1000
    network: dict[str, int | float] = msgspec.field(default_factory=dict)
    loss: GPAvatarLossConfig = msgspec.field(default_factory=GPAvatarLossConfig)
    lpips: LpipsConfig = msgspec.field(default_factory=lambda: LpipsConfig(net="alex"))

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a TOML file.

        Raises:
            TurboPortraitError: `bad_training_config`, with the setting's name.
        """
        config = super().load(path)
        try:
            config.architecture(GPAvatarConfig.points)
        except ValueError as error:
            raise TurboPortraitError("bad_training_config", f"{path}: {error}") from error
        return config

    def architecture(self, points: int) -> GPAvatarConfig:
        """The network's sizes for a head model of so many vertices.

        Raises:
            ValueError: `network` has a name or value that no network has.
        """
        known = {field.name for field in fields(GPAvatarConfig)} - {"points"}
        if unknown := set(self.network) - known:
            raise ValueError(f"network.{sorted(unknown)[0]} is unknown; there are: {', '.join(sorted(known))}")
        sizes = msgspec.convert({**self.network, "points": points}, GPAvatarConfig)
        if small := next((name for name in known if not getattr(sizes, name) > 0), None):
            raise ValueError(f"network.{small} must be more than 0")
        return sizes

    def rate(self, step: int) -> float:
        """The learning rate at a step."""
        return self.learning_rate * self.decay ** sum(step >= milestone for milestone in self.milestones)
