"""What training minimises, inside a weight mask only."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import avg_pool2d

from backend.metrics.flip import Flip
from backend.metrics.lpips import Lpips
from backend.refiner.network.refinement import Refinement
from backend.training.config import LossConfig
from backend.training.face_loss import FaceLoss
from backend.training.samples import Batch

SSIM_WINDOW = 7
SSIM_C1, SSIM_C2 = 0.01**2, 0.03**2
TEXTURE_WINDOW = 9
PICTURE_TERMS = ("l1", "l2", "gradient", "structure", "texture", "flip")


class RefinerLoss(nn.Module):
    """L1, L2, gradients over a pyramid, structure (Wang et al. 2004), FLIP (Andersson et al. 2020), LPIPS (Zhang et
    al. 2018) and a face recogniser's features, plus two penalties.

    The paper names none of its terms but the discriminator's; L2 + LPIPS + adversarial is img2img-turbo's (Parmar et
    al. 2024), whose adversarial term is `backend.training.adversary`'s.

    Args:
        config: the terms' weights.
        lpips, face: None leaves that term out whatever its weight.
    """

    def __init__(self, config: LossConfig, lpips: Lpips | None = None, face: FaceLoss | None = None) -> None:
        super().__init__()
        self.config = config
        self.lpips = lpips if config.lpips else None
        self.face = face if config.recognises else None
        self.flip = Flip() if config.flip else None

    def forward(self, result: Refinement, refined: torch.Tensor, batch: Batch) -> dict[str, torch.Tensor]:
        """All terms and their weighted "total", scalars, of a result and its pictures (B, V, 3, H, W)."""
        terms = self.picture(refined, batch)
        total = terms["picture"]
        # Outside the mask both show the truth: nothing there can be learnt from.
        seen = within(refined, batch)
        if self.lpips is not None:
            terms["lpips"] = self.lpips(*(x.flatten(0, 1) for x in (seen, batch.truth, batch.weight)))
            total = total + self.config.lpips * terms["lpips"]
        if self.face is not None:
            found = self._faces(self.face, seen, batch)
            terms |= found
            total = total + sum(getattr(self.config, name) * term for name, term in found.items())
        if self.config.change:
            alpha = (batch.views.alpha + 1) / 2
            terms["change"] = (result.change * alpha).sum() / alpha.sum().clamp(min=1)
            total = total + self.config.change * terms["change"]
        if self.config.latent:
            terms["latent"] = (result.latents.float().pow(2).mean() - 1).pow(2)
            total = total + self.config.latent * terms["latent"]
        return terms | {"total": total}

    def _faces(self, loss: FaceLoss, seen: torch.Tensor, batch: Batch) -> dict[str, torch.Tensor]:
        """The terms of faces in the pictures (B, V, 3, H, W) that are true outside the mask."""
        views = [x.flatten(0, 1) for x in (seen, batch.truth, batch.views.place)]
        if not self.config.likeness:
            return loss(*views)
        raw = within(batch.views.color, batch).flatten(0, 1)
        return loss(*views, raw, batch.reference.color, batch.reference.place)

    def picture(self, refined: torch.Tensor, batch: Batch) -> dict[str, torch.Tensor]:
        """The terms that compare pixels of (B, V, 3, H, W), and their weighted sum "picture"."""
        a, b, weight = refined.flatten(0, 1), batch.truth.flatten(0, 1), batch.weight.flatten(0, 1)
        # For what looks at neighbours both show the truth outside the mask.
        inside = within(refined, batch).flatten(0, 1)
        compute = {
            "l1": lambda: weighted_mean((a - b).abs(), weight),
            "l2": lambda: weighted_mean((a - b).square(), weight),
            "gradient": lambda: self._gradients(a, b, weight),
            "structure": lambda: 1 - _structure((a + 1) / 2, (b + 1) / 2, weight),
            "texture": lambda: _texture(inside, b, weight),
        }
        if (flip := self.flip) is not None:
            compute["flip"] = lambda: weighted_mean(flip((inside + 1) / 2, (b + 1) / 2), weight)
        weights = {name: getattr(self.config, name) for name in PICTURE_TERMS if getattr(self.config, name)}
        terms = {name: compute[name]() for name in weights}
        picture = sum((weights[name] * term for name, term in terms.items()), start=a.new_zeros(()))
        return terms | {"picture": picture}

    def _gradients(self, a: torch.Tensor, b: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        total = a.new_zeros(())
        for _ in range(self.config.levels):
            difference = a - b
            across = torch.minimum(weight[..., 1:], weight[..., :-1])
            down = torch.minimum(weight[..., 1:, :], weight[..., :-1, :])
            total = total + weighted_mean((difference[..., 1:] - difference[..., :-1]).abs(), across)
            total = total + weighted_mean((difference[..., 1:, :] - difference[..., :-1, :]).abs(), down)
            a, b, weight = (avg_pool2d(x, 2) for x in (a, b, weight))
        return total / self.config.levels


def within(refined: torch.Tensor, batch: Batch) -> torch.Tensor:
    """The refined pictures (B, V, 3, H, W) inside the weight mask, the true ones outside it."""
    return torch.where(batch.weight > 0, refined, batch.truth)


def weighted_mean(values: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """The mean of values (N, C, H, W) by weight (N, 1, H, W); 0 where there is no weight at all."""
    return (values * weight).sum() / (values.shape[1] * weight.sum()).clamp(min=1e-3)


def _texture(a: torch.Tensor, b: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """How far the strength of detail differs in windows, of pixels (N, 3, H, W) and of their means by fours."""
    total = a.new_zeros(())
    for _ in range(2):
        strengths = []
        for picture in (a, b):
            grey = picture.mean(1, keepdim=True)
            detail = grey - avg_pool2d(grey, 5, stride=1, padding=2, count_include_pad=False)
            strengths.append((avg_pool2d(detail.square(), TEXTURE_WINDOW, stride=3) + 1e-5).sqrt())
        whole = avg_pool2d((weight > 0).float(), TEXTURE_WINDOW, stride=3) > 0.999
        share = avg_pool2d(weight, TEXTURE_WINDOW, stride=3) * whole
        total = total + weighted_mean((strengths[0] - strengths[1]).abs(), share)
        a, b, weight = (avg_pool2d(x, 2) for x in (a, b, weight))
    return total


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
    return weighted_mean(similarity, pool(weight) * whole)
