"""What training minimises: GPAvatar's loss (arXiv 2401.10215, section 3.5; the published code's calc_metrics)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from backend.metrics.lpips import Lpips
from backend.training.config import LpipsConfig
from backend.training.gpavatar.batches import HeadBatch
from backend.training.gpavatar.config import GPAvatarLossConfig

SMALLEST_SEEN = 64
"""Pixels; the backbone's layers leave nothing of smaller pictures, so they are enlarged."""
SMALLEST_BOX = 8
"""Pixels of the picture; a smaller head has no box term."""


@dataclass(frozen=True)
class RenderedHeads:
    """What the network made of a batch.

    Attributes:
        coarse, fine: (B, 3, R, R), the colours of both passes.
        final: (B, 3, I, I).
        opacities: (B, M, 1), of the coarse pass's samples.
    """

    coarse: Tensor
    fine: Tensor
    final: Tensor
    opacities: Tensor


class GPAvatarLoss(nn.Module):
    """Masked L1 of coarse, fine and final picture, whole and inside the head's box, and two more terms.

    Args:
        config: the weights.
        perceptual: from `published_perceptual`; None leaves that term out.
    """

    def __init__(self, config: GPAvatarLossConfig, perceptual: Lpips | None = None) -> None:
        super().__init__()
        self.config = config
        self.perceptual = perceptual if config.perceptual else None

    def forward(self, rendered: RenderedHeads, batch: HeadBatch) -> dict[str, Tensor]:
        """All terms, already weighted, and their sum "total"; scalars."""
        config = self.config
        small = rendered.coarse.shape[-1]
        truth, known = resized(batch.truth, small), resized(batch.known, small)
        pairs = [
            (rendered.coarse, truth, known),
            (rendered.fine, truth, known),
            (rendered.final, batch.truth, batch.known),
        ]
        terms = {"image": config.image * torch.stack([masked_l1(*pair) for pair in pairs]).sum()}
        if self.perceptual is not None:
            seen = torch.stack([_perceptual(self.perceptual, *pair) for pair in pairs])
            terms["perceptual"] = config.perceptual * seen.mean()
        if config.box:
            terms["box"] = config.box * torch.stack([self._box(*pair, batch.boxes) for pair in pairs]).sum()
        if config.density:
            terms["density"] = config.density * rendered.opacities.norm()
        return terms | {"total": torch.stack(list(terms.values())).sum()}

    def _box(self, picture: Tensor, truth: Tensor, known: Tensor, boxes: Tensor) -> Tensor:
        """The terms of the heads alone, each enlarged to the same size."""
        cut = [
            torch.cat([picture[i : i + 1], truth[i : i + 1], known[i : i + 1]], 1)[..., y0:y1, x0:x1]
            for i, (x0, y0, x1, y1) in enumerate((boxes * picture.shape[-1]).round().long().tolist())
            if min(x1 - x0, y1 - y0) >= SMALLEST_BOX * picture.shape[-1] / 128
        ]
        if not cut:
            return picture.new_zeros(())
        heads = torch.cat([resized(each, self.config.box_size) for each in cut])
        picture, truth, known = heads.split([3, 3, 1], 1)
        found = masked_l1(picture, truth, known)
        if self.perceptual is not None:
            found = found + self.config.perceptual * _perceptual(self.perceptual, picture, truth, known)
        return found


def _perceptual(perceptual: Lpips, picture: Tensor, truth: Tensor, known: Tensor) -> Tensor:
    size = max(SMALLEST_SEEN, picture.shape[-1])
    picture, truth, known = (resized(x, size) for x in (picture, truth, known))
    return perceptual(2 * picture - 1, 2 * truth - 1, known)


def published_perceptual(config: LpipsConfig) -> Lpips | None:
    """The published term: squared differences of unit feature vectors, all channels alike.

    It is LPIPS without its linear weights. None, with a warning, where the backbone's weights are not at hand.

    Raises:
        TurboPortraitError: `training_weights`, as `Lpips.load`.
    """
    found = Lpips.load(config.net, config.folder, config.required)
    if found is None:
        return None
    linear = [torch.ones_like(getattr(found, f"linear{index}")) for index in range(len(found.taps))]
    return Lpips(found.features, found.taps, linear)


def masked_l1(picture: Tensor, truth: Tensor, known: Tensor) -> Tensor:
    """The mean absolute difference where the truth is known."""
    return ((picture - truth).abs() * known).sum() / (picture.shape[1] * known.sum()).clamp(min=1)


def resized(images: Tensor, size: int) -> Tensor:
    """Images (B, C, H, W) to (B, C, size, size), averaged where they shrink."""
    if images.shape[-2:] == (size, size):
        return images
    return interpolate(images, (size, size), mode="bilinear", align_corners=False, antialias=True)
