"""`python -m backend.refiner.export FOLDER` writes a refiner's networks to ONNX, beside its weights.

Two graphs, both "views in, pictures out": `encoder.onnx` takes a portrait to its latents, `refiner.onnx` is
`Refiner.refined_pictures` of one sample, of any number of views and references and any size that its grid allows.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.export import Dim

from backend.models.onnx_export import save_onnx
from backend.refiner.network.coordinates import FEATURES
from backend.refiner.network.images import NetworkViews
from backend.refiner.refiner import Refiner
from backend.refiner.runtime.onnx_refiner import ENCODER, REFINER, folder_of

VIEWS, REFERENCES, HEIGHT, WIDTH = 3, 2, 160, 128
"""Of the example that is traced; no two numbers are the same, so that none is taken for another."""


class Encoder(nn.Module):
    """Portraits as `portrait_arrays` has them to their latents."""

    def __init__(self, refiner: Refiner) -> None:
        super().__init__()
        self.refiner = refiner

    def forward(self, rgba: Tensor, confidence: Tensor, place: Tensor, warped: Tensor) -> Tensor:
        """(N, S, S, ...) to (N, c, h, w)."""
        return self.refiner.encode_images(NetworkViews.of(rgba, confidence, place, warped))[0]


class Pictures(nn.Module):
    """`Refiner.refined_pictures`."""

    def __init__(self, refiner: Refiner) -> None:
        super().__init__()
        self.refiner = refiner

    def forward(
        self,
        rgba: Tensor,
        confidence: Tensor,
        turned: Tensor,
        place: Tensor,
        warped: Tensor,
        reference: Tensor,
        noise: Tensor,
        level: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """One sample of V views; see `Refiner.refined_pictures`."""
        return self.refiner.refined_pictures(rgba, confidence, turned, place, warped, reference, noise, level)


def export(folder: Path) -> None:
    """Write both graphs of a refiner's folder.

    Raises:
        FileNotFoundError, ValueError: as `Refiner.from_pretrained`.
    """
    refiner = Refiner.from_pretrained(folder)
    target = folder_of(folder)
    target.mkdir(exist_ok=True)
    size, reach = refiner.size, refiner.reduction
    free, picture = Dim.AUTO, {1: Dim.AUTO, 2: Dim.AUTO, 3: Dim.AUTO}
    portraits = {
        "rgba": torch.zeros(REFERENCES, size, size, 4, dtype=torch.uint8),
        "confidence": torch.zeros(REFERENCES, size, size),
        "place": torch.zeros(REFERENCES, size, size, 3),
        "warped": torch.zeros(REFERENCES, size, size, 3, dtype=torch.uint8),
    }
    save_onnx(Encoder(refiner), portraits, {name: {0: free} for name in portraits}, ("latents",), target / ENCODER)
    height, width = HEIGHT // reach, WIDTH // reach
    channels = refiner.latent_channels + (FEATURES if refiner.config.coordinates else 0)
    views = {
        "rgba": torch.zeros(1, VIEWS, HEIGHT, WIDTH, 4, dtype=torch.uint8),
        "confidence": torch.zeros(1, VIEWS, HEIGHT, WIDTH),
        "turned": torch.zeros(1, VIEWS, HEIGHT, WIDTH),
        "place": torch.zeros(1, VIEWS, HEIGHT, WIDTH, 3),
        "warped": torch.zeros(1, VIEWS, HEIGHT, WIDTH, 3, dtype=torch.uint8),
    }
    latents = {
        "reference": torch.zeros(1, REFERENCES, channels, height, width),
        "noise": torch.zeros(1, refiner.latent_channels, height, width),
        "level": torch.tensor(0.1),
    }
    shapes = dict.fromkeys(views, picture) | {"reference": {1: free, 3: free, 4: free}, "noise": {2: free, 3: free}}
    outputs = ("pictures", "sound")
    save_onnx(Pictures(refiner), views | latents, shapes | {"level": None}, outputs, target / REFINER)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m backend.refiner.export", description=__doc__)
    parser.add_argument("folder", type=Path, help="a refiner's folder, such as backend/refiner/presets/compact")
    export(parser.parse_args().folder)


if __name__ == "__main__":
    main()
