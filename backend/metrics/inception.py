"""FID's network: Inception v3 (Szegedy et al. 2015) with the weights of December 2015, without torchvision.

Names, shapes and quirks are those of torch-fidelity, whose file of weights it reads: TensorFlow 1's resizing, means
that leave the padding out, and a maximum in place of the mean in the last block.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from backend.metrics.published_weights import read_weights
from backend.protocol.errors import TurboPortraitError

INCEPTION_FILE = "weights-inception-2015-12-05-6726825d.pth"
SIDE = 299
FEATURES = 2048

Kernel = int | tuple[int, int]


class Convolution(nn.Module):
    """Convolution, batch normalisation, ReLU."""

    def __init__(self, channels: int, out: int, kernel: Kernel, stride: int = 1, padding: Kernel = 0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, out, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(out, eps=0.001)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.bn(self.conv(x)).relu()


class Block(nn.Module):
    """Branches side by side, their channels joined.

    Args:
        channels: of the input.
        branches: each a sequence of steps: a pooling layer, a convolution (name, channels, kernel[, stride]), or a list
            of convolutions that take the same input and are joined.
    """

    def __init__(self, channels: int, branches: Sequence[Sequence]) -> None:
        super().__init__()
        self._branches: list[list[Sequence[nn.Module]]] = []
        self.channels = 0
        for branch in branches:
            width = channels
            steps: list[Sequence[nn.Module]] = []
            for step in branch:
                if isinstance(step, nn.Module):
                    steps.append([step])
                    continue
                fork = step if isinstance(step, list) else [step]
                steps.append([self._convolution(width, *convolution) for convolution in fork])
                width = sum(convolution[1] for convolution in fork)
            self._branches.append(steps)
            self.channels += width

    def _convolution(self, channels: int, name: str, out: int, kernel: Kernel, stride: int = 1) -> Convolution:
        sides = (kernel, kernel) if isinstance(kernel, int) else kernel
        padding: Kernel = (sides[0] // 2, sides[1] // 2) if stride == 1 else 0
        convolution = Convolution(channels, out, kernel, stride, padding)
        self.add_module(name, convolution)
        return convolution

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        ends = []
        for branch in self._branches:
            y = x
            for step in branch:
                y = torch.cat([layer(y) for layer in step], 1)
            ends.append(y)
        return torch.cat(ends, 1)


class Inception(nn.Module):
    """Pictures (N, 3, H, W) uint8 to features (N, 2048)."""

    num_features = FEATURES

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = Convolution(3, 32, 3, 2)
        self.Conv2d_2a_3x3 = Convolution(32, 32, 3)
        self.Conv2d_2b_3x3 = Convolution(32, 64, 3, padding=1)
        self.maximum = nn.MaxPool2d(3, 2)
        self.Conv2d_3b_1x1 = Convolution(64, 80, 1)
        self.Conv2d_4a_3x3 = Convolution(80, 192, 3)
        channels = 192
        blocks = _blocks()
        self._order = tuple(blocks)
        for name, branches in blocks.items():
            block = Block(channels, branches)
            self.add_module(name, block)
            channels = block.channels
        # Not needed for the features, but part of the file.
        self.fc = nn.Linear(channels, 1008)
        self.eval().requires_grad_(False)

    @classmethod
    def load(cls, path: Path) -> Inception:
        """With the published weights.

        Raises:
            TurboPortraitError: `training_weights`: the file is not what its name says, or of another network.
        """
        network, weights = cls(), read_weights(path)
        try:
            network.load_state_dict(weights)
        except RuntimeError as error:
            raise TurboPortraitError("training_weights", f"{path} is not FID's Inception: {error}") from error
        return network

    @torch.inference_mode()
    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        x = (_resized(pictures.float()) - 128) / 128
        x = self.maximum(self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x))))
        x = self.maximum(self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x)))
        for name in self._order:
            x = self.get_submodule(name)(x)
        return x.mean((2, 3))


def _blocks() -> dict[str, list[list]]:
    """The blocks' branches in order."""
    return {
        "Mixed_5b": _a(32), "Mixed_5c": _a(64), "Mixed_5d": _a(64), "Mixed_6a": _b(),
        "Mixed_6b": _c(128), "Mixed_6c": _c(160), "Mixed_6d": _c(160), "Mixed_6e": _c(192), "Mixed_7a": _d(),
        "Mixed_7b": _e(nn.AvgPool2d(3, 1, 1, count_include_pad=False)), "Mixed_7c": _e(nn.MaxPool2d(3, 1, 1)),
    }  # fmt: skip


def _pooled(channels: int, pool: nn.Module | None = None) -> list:
    return [pool or nn.AvgPool2d(3, 1, 1, count_include_pad=False), ("branch_pool", channels, 1)]


def _a(pool: int) -> list[list]:
    return [
        [("branch1x1", 64, 1)],
        [("branch5x5_1", 48, 1), ("branch5x5_2", 64, 5)],
        [("branch3x3dbl_1", 64, 1), ("branch3x3dbl_2", 96, 3), ("branch3x3dbl_3", 96, 3)],
        _pooled(pool),
    ]


def _b() -> list[list]:
    return [
        [("branch3x3", 384, 3, 2)],
        [("branch3x3dbl_1", 64, 1), ("branch3x3dbl_2", 96, 3), ("branch3x3dbl_3", 96, 3, 2)],
        [nn.MaxPool2d(3, 2)],
    ]


def _c(inner: int) -> list[list]:
    row, column = (1, 7), (7, 1)
    return [
        [("branch1x1", 192, 1)],
        [("branch7x7_1", inner, 1), ("branch7x7_2", inner, row), ("branch7x7_3", 192, column)],
        [("branch7x7dbl_1", inner, 1), ("branch7x7dbl_2", inner, column), ("branch7x7dbl_3", inner, row),
         ("branch7x7dbl_4", inner, column), ("branch7x7dbl_5", 192, row)],
        _pooled(192),
    ]  # fmt: skip


def _d() -> list[list]:
    return [
        [("branch3x3_1", 192, 1), ("branch3x3_2", 320, 3, 2)],
        [("branch7x7x3_1", 192, 1), ("branch7x7x3_2", 192, (1, 7)), ("branch7x7x3_3", 192, (7, 1)),
         ("branch7x7x3_4", 192, 3, 2)],
        [nn.MaxPool2d(3, 2)],
    ]  # fmt: skip


def _e(pool: nn.Module) -> list[list]:
    return [
        [("branch1x1", 320, 1)],
        [("branch3x3_1", 384, 1), [("branch3x3_2a", 384, (1, 3)), ("branch3x3_2b", 384, (3, 1))]],
        [("branch3x3dbl_1", 448, 1), ("branch3x3dbl_2", 384, 3),
         [("branch3x3dbl_3a", 384, (1, 3)), ("branch3x3dbl_3b", 384, (3, 1))]],
        _pooled(192, pool),
    ]  # fmt: skip


def _resized(x: torch.Tensor) -> torch.Tensor:
    """(N, C, H, W) to (N, C, SIDE, SIDE) as TensorFlow 1: bilinear, the first pixels' centres on one another."""
    for dim in (2, 3):
        size = x.shape[dim]
        place = torch.arange(SIDE, device=x.device) * (size / SIDE)
        low = place.long()
        share = (place - low).reshape([-1 if d == dim else 1 for d in range(4)])
        high = (low + 1).clamp(max=size - 1)
        x = x.index_select(dim, low) * (1 - share) + x.index_select(dim, high) * share
    return x
