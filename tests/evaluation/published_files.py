"""Random weights in the layouts in which the published networks come, so that the code that reads them really runs."""

import dataclasses
import hashlib
from pathlib import Path

import torch
from torch import nn

from backend.evaluation import measures
from backend.metrics import inception, lpips
from backend.metrics.identity import ARCFACE_FILE
from backend.metrics.inception import Inception


def named_by_hash(weights: dict[str, torch.Tensor], folder: Path, stem: str) -> Path:
    """Save weights as torch hub names them."""
    path = folder / "unnamed.pth"
    torch.save(weights, path)
    return path.rename(folder / f"{stem}-{hashlib.sha256(path.read_bytes()).hexdigest()[:8]}.pth")


def write_vgg(folder: Path, monkeypatch) -> Path:
    """torchvision's VGG16, its features."""
    torch.manual_seed(0)
    backbone = lpips.BACKBONES["vgg"]
    weights = {f"features.{name}": value for name, value in backbone.build().state_dict().items()}
    path = named_by_hash(weights, folder, "vgg16")
    monkeypatch.setitem(lpips.BACKBONES, "vgg", dataclasses.replace(backbone, file=path.name))
    return path


def write_inception(folder: Path, monkeypatch) -> Path:
    """torch-fidelity's Inception; kept lively by He's initialisation."""
    torch.manual_seed(0)
    network = Inception()
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
    path = named_by_hash(network.state_dict(), folder, "weights-inception-2015-12-05")
    monkeypatch.setattr(measures, "INCEPTION_FILE", path.name)
    monkeypatch.setattr(inception, "INCEPTION_FILE", path.name)
    return path


class _Unit(nn.Module):
    """A residual unit of ArcFace's ResNet (Deng et al. 2019, section 3.1): BN, 3x3, BN, PReLU, 3x3, BN."""

    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.BatchNorm2d(channels), nn.Conv2d(channels, out, 3, 1, 1, bias=False), nn.BatchNorm2d(out),
            nn.PReLU(out), nn.Conv2d(out, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out),
        )  # fmt: skip
        self.beside = nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x) + self.beside(x)


def arcface_network() -> nn.Module:
    """ArcFace's layers, few and narrow: (N, 3, 112, 112) to (N, 512)."""
    torch.manual_seed(0)
    units = [_Unit(a, b, 2) for a, b in ((8, 8), (8, 16), (16, 16), (16, 32))]
    stem = nn.Conv2d(3, 8, 3, 1, 1, bias=False), nn.BatchNorm2d(8), nn.PReLU(8)
    head = nn.BatchNorm2d(32), nn.Flatten(), nn.Linear(32 * 49, 512), nn.BatchNorm1d(512)
    return nn.Sequential(*stem, *units, *head).eval()


def write_arcface(folder: Path) -> nn.Module:
    """insightface's file: ONNX, any number of pictures at once. Returns the same network."""
    network = arcface_network()
    torch.onnx.export(
        network,
        (torch.rand(1, 3, 112, 112),),
        folder / ARCFACE_FILE,
        dynamo=False,
        input_names=["input.1"],
        dynamic_axes={"input.1": {0: "None"}},
        opset_version=11,
    )
    return network


class Colours(torch.nn.Module):
    """In place of Inception: each picture's mean colour and its spread."""

    num_features = 6

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        values = pictures.flatten(2).double() / 255
        return torch.cat([values.mean(2), values.std(2)], 1)
