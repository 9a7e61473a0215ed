"""What training minimises, inside a weight mask only; no weights to download."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import avg_pool2d

from backend.refiner.refiner import Refinement
from backend.training.samples import Batch

SSIM_WINDOW = 7
SSIM_C1, SSIM_C2 = 0.01**2, 0.03**2


class RefinerLoss(nn.Module):
    """Weighted L1, gradients over a pyramid, and structure (Wang et al. 2004), plus two penalties.

    Args:
        gradient, structure: weights of these terms beside L1.
        change: weight of the mean change, so that nothing is changed without need.
        latent: weight that keeps the latents' variance near 1, or the noise would be no noise to them.
        levels: of the pyramid.
    """

    def __init__(
        self, gradient: float = 1.0, structure: float = 0.2, change: float = 0.01, latent: float = 0.01, levels: int = 4
    ) -> None:
        super().__init__()
        self.gradient, self.structure, self.change, self.latent = gradient, structure, change, latent
        self.levels = levels

    def forward(self, result: Refinement, batch: Batch) -> dict[str, torch.Tensor]:
        """All terms and their weighted "total", scalars."""
        terms = self.picture(result.apply(batch.views), batch)
        alpha = (batch.views[:, :, 3:4] + 1) / 2
        terms["change"] = (result.change * alpha).sum() / alpha.sum().clamp(min=1)
        terms["latent"] = (result.latents.pow(2).mean() - 1).pow(2)
        terms["total"] = terms["picture"] + self.change * terms["change"] + self.latent * terms["latent"]
        return terms

    def picture(self, refined: torch.Tensor, batch: Batch) -> dict[str, torch.Tensor]:
        """The terms that compare pictures (B, V, 3, H, W), and their weighted sum "picture"."""
        a, b, weight = refined.flatten(0, 1), batch.truth.flatten(0, 1), batch.weight.flatten(0, 1)
        terms = {
            "l1": _mean((a - b).abs(), weight),
            "gradient": self._gradients(a, b, weight),
            "structure": 1 - _structure((a + 1) / 2, (b + 1) / 2, weight),
        }
        terms["picture"] = terms["l1"] + self.gradient * terms["gradient"] + self.structure * terms["structure"]
        return terms

    def _gradients(self, a: torch.Tensor, b: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        total = a.new_zeros(())
        for _ in range(self.levels):
            difference = a - b
            across = torch.minimum(weight[..., 1:], weight[..., :-1])
            down = torch.minimum(weight[..., 1:, :], weight[..., :-1, :])
            total = total + _mean((difference[..., 1:] - difference[..., :-1]).abs(), across)
            total = total + _mean((difference[..., 1:, :] - difference[..., :-1, :]).abs(), down)
            a, b, weight = (avg_pool2d(x, 2) for x in (a, b, weight))
        return total / self.levels


def _mean(values: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return (values * weight).sum() / (values.shape[1] * weight.sum()).clamp(min=1e-3)


def _structure(a: torch.Tensor, b: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Mean SSIM of images in [0, 1], (N, 3, H, W), over windows that lie wholly inside the weight."""

    def pool(x: torch.Tensor) -> torch.Tensor:
        return avg_pool2d(x, SSIM_WINDOW, stride=2)

    mean_a, mean_b = pool(a), pool(b)
    var_a, var_b = pool(a * a) - mean_a**2, pool(b * b) - mean_b**2
    covariance = pool(a * b) - mean_a * mean_b
    similarity = (2 * mean_a * mean_b + SSIM_C1) * (2 * covariance + SSIM_C2)
    similarity = similarity / ((mean_a**2 + mean_b**2 + SSIM_C1) * (var_a + var_b + SSIM_C2))
    whole = pool((weight > 0).float()) > 0.999
    return _mean(similarity, pool(weight) * whole)
