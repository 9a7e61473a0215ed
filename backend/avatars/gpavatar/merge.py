"""The merge of several portraits' tri-planes by attention (GPAvatar, section 3.3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def _projection(channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.LayerNorm(channels),
        nn.Linear(channels, channels), nn.GELU(),
        nn.Linear(channels, channels), nn.GELU(),
        nn.Linear(channels, channels),
    )  # fmt: skip


class PlaneAttention(nn.Module):
    """At every texel a learned query weighs the portraits' features; the features themselves are the values."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor([channels**-0.5]), requires_grad=False)
        self.to_q_ = _projection(channels)
        self.to_k_ = _projection(channels)

    def forward(self, query: Tensor, planes: Tensor) -> Tensor:
        """Merge the planes of P portraits.

        Args:
            query: (1, 1, 3, C, S, S).
            planes: (N, P, 3, C, S, S).

        Returns:
            (N, 3, C, S, S).
        """
        if planes.shape[1] == 1:
            # The softmax over a single portrait is 1 whatever the query is.
            return planes[:, 0]
        q = self.to_q_(query.movedim(3, -1))
        k = self.to_k_(planes.movedim(3, -1))
        weights = ((q * k).sum(-1) * self.scale).softmax(1)
        return (weights.unsqueeze(3) * planes).sum(1)
