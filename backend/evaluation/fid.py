"""FID (Heusel et al. 2017) of several methods' views against the same true ones, by torchmetrics."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import numpy as np
import torch
from torch import nn


class Fid:
    """Takes views one after the other.

    Args:
        network: pictures (N, 3, H, W) uint8 to features (N, `num_features`), see `Inception`.
    """

    def __init__(self, network: nn.Module) -> None:
        self._network = network
        self._truth: list[torch.Tensor] = []
        self._features: dict[str, list[torch.Tensor]] = defaultdict(list)

    def add(self, pictures: Mapping[str, np.ndarray], truth: np.ndarray) -> None:
        """Take one view's pictures (H, W, 3) in [0, 255] in, each a method's."""
        true, *others = self._network(torch.stack([_bytes(picture) for picture in (truth, *pictures.values())]))
        self._truth.append(true)
        for method, features in zip(pictures, others, strict=True):
            self._features[method].append(features)

    def values(self) -> dict[str, float]:
        """Of each method; two views at least are needed."""
        from torchmetrics.image.fid import FrechetInceptionDistance

        found = {}
        for method, features in self._features.items():
            distance = FrechetInceptionDistance(feature=_Given(features[0].shape[-1]))
            distance.update(torch.stack(self._truth), real=True)
            distance.update(torch.stack(features), real=False)
            found[method] = float(distance.compute())
        return found


class _Given(nn.Identity):
    """Features that have been taken already."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.num_features = count


def _bytes(picture: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.rint(picture).astype(np.uint8)).movedim(2, 0)
