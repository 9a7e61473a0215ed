"""The portrait parser's network: a U-Net (Ronneberger et al. 2015) of depthwise-separable residual blocks.

Only plain operators, so that it exports to ONNX as it is.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn

from backend.models.tensors import read_safetensors
from backend.protocol.errors import TurboPortraitError
from backend.tracking.parser import CLASSES

PATCH = 4
"""Pixels of a patch's side: the first layer reads the image in patches, the last one writes them."""
WIDTHS = (64, 112, 160, 224)
"""Channels at 1/4, 1/8, ... of the input's size."""
BLOCKS = (2, 3, 4, 4)
"""Residual blocks at each of these sizes on the way down; one each on the way up."""


class PortraitParserNetwork(nn.Module):
    """Image and validity to class logits and an alpha logit."""

    def __init__(self, widths: tuple[int, ...] = WIDTHS, blocks: tuple[int, ...] = BLOCKS) -> None:
        super().__init__()
        first = _convolution(4, widths[0], PATCH, PATCH)
        downs = (_convolution(before, width, 2, 2) for before, width in pairwise(widths))
        self.down = nn.ModuleList(
            nn.Sequential(smaller, *(Residual(width) for _ in range(count)))
            for smaller, width, count in zip((first, *downs), widths, blocks, strict=True)
        )
        self.up = nn.ModuleList(Merge(deep, skip) for deep, skip in zip(widths[:0:-1], widths[-2::-1], strict=True))
        # Layers at full size would take most of the time.
        outputs = PATCH**2 * (len(CLASSES) + 1)
        self.head = nn.Sequential(nn.Conv2d(widths[0], outputs, 1), nn.PixelShuffle(PATCH))

    def forward(self, image: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """Parse crops.

        Args:
            image: (B, 3, H, W) sRGB in [0, 1]; H and W divide by 32.
            valid: (B, 1, H, W), 1 inside the photo, 0 beyond its edge.

        Returns:
            Class logits (B, 6, H, W) in the order of `CLASSES`, and alpha logits (B, 1, H, W).
        """
        x = torch.cat([(image * 2 - 1) * valid, valid], 1)
        skips = []
        for stage in self.down:
            x = stage(x)
            skips.append(x)
        x = skips.pop()
        for merge in self.up:
            x = merge(x, skips.pop())
        logits = self.head(x)
        return logits[:, : len(CLASSES)], logits[:, len(CLASSES) :]


class Residual(nn.Module):
    """x + a depthwise 5x5 and a pointwise convolution."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _convolution(width, width, 5, groups=width, active=False),
            _convolution(width, width, 1, active=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same."""
        return torch.relu(x + self.body(x))


class Merge(nn.Module):
    """Features of half the size, doubled, joined with those of the way down."""

    def __init__(self, deep: int, skip: int) -> None:
        super().__init__()
        self.reduce = _convolution(deep, skip, 1)
        self.join = _convolution(2 * skip, skip, 1)
        self.block = Residual(skip)

    def forward(self, deep: Tensor, skip: Tensor) -> Tensor:
        """(B, D, H/2, W/2) and (B, S, H, W) to (B, S, H, W)."""
        doubled = nn.functional.interpolate(self.reduce(deep), scale_factor=2.0, mode="bilinear", align_corners=False)
        return self.block(self.join(torch.cat([doubled, skip], 1)))


def _convolution(
    inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1, active: bool = True
) -> nn.Sequential:
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, kernel, stride, 0 if stride > 1 else kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*layers, nn.ReLU()) if active else nn.Sequential(*layers)


def load_network(path: Path) -> PortraitParserNetwork:
    """A network with the weights of a file.

    Raises:
        TurboPortraitError: `bad_weights`: it is missing, damaged or of another network.
    """
    network = PortraitParserNetwork()
    try:
        network.load_state_dict({name: value.float() for name, value in read_safetensors(path).items()})
    except RuntimeError as error:
        raise TurboPortraitError("bad_weights", f"{path.name}: {str(error)[:300]}") from error
    return network


def save_network(network: PortraitParserNetwork, path: Path) -> None:
    """Write a network's weights as half floats."""
    from safetensors.torch import save_file

    weights = {name: value for name, value in network.state_dict().items() if not name.endswith("num_batches_tracked")}
    save_file({name: value.detach().cpu().half().contiguous() for name, value in weights.items()}, path)
