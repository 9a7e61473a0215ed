"""LPIPS (Zhang et al. 2018): how different two pictures look, by the features of a network trained on photographs.

The backbone's layers are torchvision's (VGG16, AlexNet) and so are its weights, a file that the user has or not; the
linear weights are LPIPS' own, version 0.1, and come with torchmetrics. torchvision itself is not needed.
"""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import interpolate

from backend.metrics.published_weights import checkpoints, read_weights
from backend.protocol.errors import TurboPortraitError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Backbone:
    """A network whose features LPIPS compares.

    Attributes:
        file: torchvision's weights as torch hub keeps them; the name ends in the first digits of their SHA-256.
        layers: the feature layers: (channels, kernel, stride, padding) of a convolution with its ReLU, or (kernel,
            stride) of a maximum.
        taps: the indices of the ReLUs that are compared.
    """

    file: str
    layers: tuple[tuple[int, ...], ...]
    taps: tuple[int, ...]

    def build(self) -> nn.Sequential:
        """The feature layers with fresh weights, numbered as torchvision does."""
        modules: list[nn.Module] = []
        channels = 3
        for layer in self.layers:
            if len(layer) == 2:
                modules.append(nn.MaxPool2d(*layer))
            else:
                width, kernel, stride, padding = layer
                modules += [nn.Conv2d(channels, width, kernel, stride, padding), nn.ReLU()]
                channels = width
        return nn.Sequential(*modules)


def _vgg(*blocks: tuple[int, int]) -> tuple[tuple[int, ...], ...]:
    """(channels, convolutions) per block to layers; what follows the last block is not needed."""
    parts = [((channels, 3, 1, 1),) * count for channels, count in blocks]
    return tuple(layer for part in parts for layer in (*part, (2, 2)))[:-1]


BACKBONES = {
    "vgg": Backbone(
        "vgg16-397923af.pth", _vgg((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)), (3, 8, 15, 22, 29)
    ),
    "alex": Backbone(
        "alexnet-owt-7be5be79.pth",
        ((64, 11, 4, 2), (3, 2), (192, 5, 1, 2), (3, 2), (384, 3, 1, 1), (256, 3, 1, 1), (256, 3, 1, 1)),
        (1, 4, 7, 9, 11),
    ),
}  # fmt: skip


class Lpips(nn.Module):
    """The distance of two pictures; all its weights are frozen.

    Args:
        features: the backbone's feature layers.
        taps: see `Backbone`.
        linear: per tap, (C,) weights of the channels' squared differences.
    """

    shift: torch.Tensor
    scale: torch.Tensor

    def __init__(self, features: nn.Sequential, taps: tuple[int, ...], linear: list[torch.Tensor]) -> None:
        super().__init__()
        self.features, self.taps = features, taps
        for index, weight in enumerate(linear):
            self.register_buffer(f"linear{index}", weight.reshape(1, -1, 1, 1))
        self.register_buffer("shift", torch.tensor([-0.030, -0.088, -0.188]).reshape(1, 3, 1, 1))
        self.register_buffer("scale", torch.tensor([0.458, 0.448, 0.450]).reshape(1, 3, 1, 1))
        self.eval().requires_grad_(False)

    @classmethod
    def load(cls, net: str = "vgg", folder: str | Path = "", required: bool = False) -> Lpips | None:
        """With the weights that the user has; None, with a warning, if there are none and none are required.

        Args:
            net: "vgg" or "alex", whose features are compared.
            folder: where the backbone's weights lie; torch hub's cache if empty.

        Raises:
            TurboPortraitError: `training_weights`: they are required and missing, or they are not what their name says.
        """
        backbone = BACKBONES[net]
        path = Path(folder or checkpoints()) / backbone.file
        if not path.is_file():
            missing = f"LPIPS needs torchvision's weights {backbone.file}: put the file at {path}"
            if required:
                raise TurboPortraitError("training_weights", missing)
            log.warning("%s. Until then the term is left out.", missing)
            return None
        features = backbone.build()
        features.load_state_dict(_feature_weights(path, features))
        return cls(features, backbone.taps, _linear_weights(net, len(backbone.taps)))

    def forward(self, a: torch.Tensor, b: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """The mean distance of pictures (N, 3, H, W) in [-1, 1] where the weight (N, 1, H, W) is, a scalar."""
        return self.distances(a, b, [weight])[0]

    def distances(self, a: torch.Tensor, b: torch.Tensor, weights: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """The same for each of several weights, the features computed once."""
        totals = [a.new_zeros(()) for _ in weights]
        x, y = ((picture - self.shift) / self.scale for picture in (a, b))
        for index, layer in enumerate(self.features):
            x, y = layer(x), layer(y)
            if index in self.taps:
                linear = getattr(self, f"linear{self.taps.index(index)}")
                difference = ((unit_features(x) - unit_features(y)).square() * linear).sum(1, keepdim=True)
                for k, weight in enumerate(weights):
                    shown = interpolate(weight, difference.shape[-2:], mode="area")
                    totals[k] = totals[k] + (difference * shown).sum() / shown.sum().clamp(min=1e-3)
        return totals


def unit_features(features: torch.Tensor) -> torch.Tensor:
    """Features (N, C, ...) of length 1 over their channels."""
    return features / (features.square().sum(1, keepdim=True) + 1e-8).sqrt()


def _feature_weights(path: Path, features: nn.Sequential) -> dict[str, torch.Tensor]:
    weights = read_weights(path)
    try:
        return {name: weights[f"features.{name}"] for name in features.state_dict()}
    except KeyError as error:
        raise TurboPortraitError("training_weights", f"{path} does not hold the features' weights: {error}") from error


def _linear_weights(net: str, taps: int) -> list[torch.Tensor]:
    # Found, not imported: torchmetrics as a whole loads slowly.
    package = importlib.util.find_spec("torchmetrics")
    if package is None or package.origin is None:
        raise TurboPortraitError("training_weights", "LPIPS' linear weights come with torchmetrics: install it")
    path = Path(package.origin).parent / "functional" / "image" / "lpips_models" / f"{net}.pth"
    weights = torch.load(path, map_location="cpu", weights_only=True)
    return [weights[f"lin{index}.model.1.weight"].flatten() for index in range(taps)]
