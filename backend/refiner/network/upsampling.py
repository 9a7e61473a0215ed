"""diffusers' upsampling, nearest neighbour and then a 3x3 convolution, as one 2x2 convolution: less than half the work.

Behind nearest-neighbour doubling, a 3x3 window covers only 2x2 different places, and which of its taps fall together
depends on whether the row and the column are even or odd. So each of the four kinds of output pixel is a 2x2
convolution of the small image, with the taps summed: the same numbers but for rounding.
"""

from __future__ import annotations

import torch
from diffusers.models.upsampling import Upsample2D
from torch import nn
from torch.nn.functional import conv2d, pixel_shuffle

_ROWS = torch.tensor([[[1.0, 0, 0], [0, 1, 1]], [[1, 1, 0], [0, 0, 1]]])
"""(2, 2, 3): for even and for odd rows, which of the three taps fall on the first and on the second place."""


class FoldedUpsampling:
    """The forward of an `Upsample2D` in use, with weights of its own."""

    def __init__(self, convolution: nn.Conv2d) -> None:
        rows = _ROWS.to(convolution.weight.device)
        taps = torch.einsum("aik,bjl,ockl->abocij", rows, rows, convolution.weight.detach().float())
        folded = taps.flatten(0, 2).to(convolution.weight.dtype)
        self._weight = folded.contiguous(memory_format=torch.channels_last)
        self._bias = None if convolution.bias is None else convolution.bias.detach().repeat(4)

    def __call__(self, hidden_states: torch.Tensor, output_size: object = None) -> torch.Tensor:
        """(N, C, H, W) to (N, C', 2 H, 2 W)."""
        count, _, height, width = hidden_states.shape
        phases = conv2d(hidden_states, self._weight, self._bias, padding=1).unflatten(1, (2, 2, -1))
        if torch.compiler.is_exporting():
            # Writing in place is slow in ONNX; this is one operator of it.
            parts = [phases[:, a, b, :, a : a + height, b : b + width] for a in range(2) for b in range(2)]
            return pixel_shuffle(torch.stack(parts, 2).flatten(1, 2), 2)
        out = hidden_states.new_empty(count, 2 * height, 2 * width, phases.shape[3]).permute(0, 3, 1, 2)
        for row in range(2):
            for column in range(2):
                out[:, :, row::2, column::2] = phases[:, row, column, :, row : row + height, column : column + width]
        return out


def fold_upsampling(network: nn.Module) -> None:
    """Let every upsampling of a network run folded, until `unfold_upsampling`; its weights stay where they are."""
    for module in _doublings(network):
        vars(module)["forward"] = FoldedUpsampling(module.conv)


def unfold_upsampling(network: nn.Module) -> None:
    """Let every upsampling run as diffusers wrote it, as training needs."""
    for module in _doublings(network):
        vars(module).pop("forward", None)


def _doublings(network: nn.Module) -> list[Upsample2D]:
    return [
        module
        for module in network.modules()
        if isinstance(module, Upsample2D)
        and module.interpolate
        and module.norm is None
        and isinstance(getattr(module, "conv", None), nn.Conv2d)
        and module.conv.kernel_size == (3, 3)
    ]
