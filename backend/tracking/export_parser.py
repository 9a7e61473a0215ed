"""`python -m backend.tracking.export_parser [WEIGHTS]` writes the parser's network to ONNX, beside its weights."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor, nn

from backend.models.onnx_export import save_onnx
from backend.tracking.parser import NETWORK, SIZE
from backend.tracking.parser_network import PortraitParserNetwork, load_network

WEIGHTS = NETWORK.with_suffix(".safetensors")


class Shares(nn.Module):
    """The network with shares in place of logits."""

    def __init__(self, network: PortraitParserNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """Arguments as the network's; class probabilities (B, 6, H, W) and alpha (B, 1, H, W)."""
        logits, alpha = self.network(image, valid)
        return torch.softmax(logits, 1), torch.sigmoid(alpha)


def export_parser(network: PortraitParserNetwork, path: Path) -> None:
    """Write a network to an ONNX file."""
    example = {"image": torch.zeros(1, 3, SIZE, SIZE), "valid": torch.ones(1, 1, SIZE, SIZE)}
    save_onnx(Shares(network), example, {"image": None, "valid": None}, ("probabilities", "alpha"), path)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m backend.tracking.export_parser", description=__doc__)
    parser.add_argument("weights", type=Path, nargs="?", default=WEIGHTS, help="a safetensors file of `train parser`")
    weights = parser.parse_args().weights
    export_parser(load_network(weights), weights.with_suffix(".onnx"))
    print(f"{weights.with_suffix('.onnx')}: {weights.with_suffix('.onnx').stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
