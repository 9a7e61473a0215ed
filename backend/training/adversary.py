"""The adversarial game: the discriminator with its optimizer, and what the refiner hears of it."""

from __future__ import annotations

from typing import Any

import torch

from backend.training.config import DiscriminatorConfig
from backend.training.discriminator import PatchDiscriminator, deceit, hinge_fake, hinge_real, mean_verdict


class Adversary:
    """A discriminator that learns beside the refiner.

    Args:
        config: its settings.
        device: where it runs.

    Attributes:
        optimizer: Adam without momentum, as hinge losses with spectral norm are trained (Miyato et al. 2018).
        parameters: what it trains.
    """

    def __init__(self, config: DiscriminatorConfig, device: torch.device) -> None:
        self.config = config
        self.discriminator = PatchDiscriminator(config.width, config.scales).to(device)
        self.parameters = list(self.discriminator.parameters())
        self.optimizer = torch.optim.Adam(self.parameters, config.learning_rate, betas=(0.0, 0.99))

    def deceived(self, pictures: torch.Tensor, weight: torch.Tensor, step: int) -> torch.Tensor:
        """The refiner's adversarial term for pictures (N, 3, H, W) with weight (N, 1, H, W); 0 before the start."""
        if step < self.config.start:
            return pictures.new_zeros(())
        for parameter in self.parameters:
            parameter.requires_grad_(False)
        self.discriminator.eval()
        term = deceit(self.discriminator(pictures), weight)
        for parameter in self.parameters:
            parameter.requires_grad_(True)
        return term

    def losses(self, true: torch.Tensor, refined: torch.Tensor, weight: torch.Tensor) -> dict[str, torch.Tensor]:
        """The discriminator's terms for pictures (N, 3, H, W): its loss, and how photo-like both seem to it."""
        self.discriminator.train()
        verdicts = self.discriminator(torch.cat([true, refined.detach()]))
        real, fake = zip(*(verdict.chunk(2) for verdict in verdicts), strict=True)
        return {
            "discriminator": hinge_real(real, weight) + hinge_fake(fake, weight),
            "verdict_true": mean_verdict(real, weight).detach(),
            "verdict_refined": mean_verdict(fake, weight).detach(),
        }

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps: the weights that change, and the optimizer."""
        return {"discriminator": self.discriminator.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take a checkpoint's state."""
        if state["discriminator"].keys() != self.discriminator.state_dict().keys():
            raise KeyError("the discriminator is another")
        self.discriminator.load_state_dict(state["discriminator"])
        self.optimizer.load_state_dict(state["optimizer"])
