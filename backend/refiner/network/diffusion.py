"""The one diffusion step: the noise on the novel views and the way back to a clean latent."""

from __future__ import annotations

import torch

from backend.refiner.config import RefinerConfig

NOISE_LEVELS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
"""The r that training draws from."""


def signal_level(config: RefinerConfig) -> float:
    """Cumulative product of (1 - beta) up to the fixed timestep.

    beta_t = (sqrt(beta_start) + t / (T - 1) (sqrt(beta_end) - sqrt(beta_start)))^2, diffusers' "scaled_linear".
    """
    start, end = config.beta_start**0.5, config.beta_end**0.5
    betas = torch.linspace(start, end, config.train_timesteps, dtype=torch.float64, device="cpu") ** 2
    return torch.cumprod(1 - betas, 0)[config.timestep].item()


def mix_noise(latents: torch.Tensor, noise: torch.Tensor, level: float | torch.Tensor) -> torch.Tensor:
    """z = (1 - r) z + r n (paper, section 3.2), for the novel views only; shapes broadcast."""
    return (1 - level) * latents + level * noise


def clean_latent(latents: torch.Tensor, predicted_noise: torch.Tensor, signal: float) -> torch.Tensor:
    """x0 = (z - sqrt(1 - a) eps) / sqrt(a): the scheduler's formula for a network that predicts the noise."""
    return (latents - (1 - signal) ** 0.5 * predicted_noise) / signal**0.5
