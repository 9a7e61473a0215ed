"""A refiner whose networks ONNX Runtime runs: on a CPU, without torch."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np

from backend.models.folder_files import read_text_file
from backend.onnx_session import OnnxNetwork
from backend.refiner.config import RefinerConfig
from backend.refiner.runtime.refining import Refined, Refining
from backend.refiner.views import GREY, ViewArrays

ENCODER, REFINER = "encoder.onnx", "refiner.onnx"
KEPT_VIEWS = 2
"""Up to so many views the memory of a run is held for the next; a ring of them is rare, and needs a gigabyte."""


def folder_of(preset: Path) -> Path:
    """Where a refiner's folder keeps what `backend.refiner.export` wrote."""
    return preset / "onnx"


class OnnxRefiner(Refining):
    """Runs the graphs that `backend.refiner.export` writes.

    Args:
        folder: a refiner's, with config.json, the networks' own config files and `onnx/`.

    Raises:
        FileNotFoundError, ValueError: the settings are missing or none.
        TurboPortraitError: `bad_weights`: a graph is missing or damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.config = RefinerConfig.load(folder)
        vae, unet = (
            msgspec.json.decode(read_text_file(folder / part / "config.json"), type=dict) for part in ("vae", "unet")
        )
        self.latent_channels = int(vae["latent_channels"])
        self.reduction = 2 ** (len(vae["block_out_channels"]) - 1)
        self.levels = len(unet["block_out_channels"])
        self._channels = int(unet["in_channels"])
        self._encoder = OnnxNetwork(folder_of(folder) / ENCODER)
        self._refiner = OnnxNetwork(folder_of(folder) / REFINER, keep_memory=True)

    def encode_pictures(self, views: ViewArrays) -> np.ndarray:
        """See `Refining`."""
        pictures = {name: getattr(views, name)[0] for name in self._encoder.inputs}
        return self._encoder(**pictures)["latents"]

    def evaluate(self, views: ViewArrays, reference: np.ndarray | None, noise: np.ndarray, level: float) -> Refined:
        """See `Refining`. Moments run one after the other: on a CPU together they are no faster."""
        count = len(views.rgba)
        if reference is None:
            # Without a portrait nothing is known of its warp either.
            reference = np.zeros((1, 0, self._channels, *noise.shape[2:]), np.float32)
            views = views._replace(warped=np.full_like(views.warped, GREY))
        release = views.rgba.shape[1] > KEPT_VIEWS
        results = []
        for sample in range(count):
            latents = reference[sample if len(reference) == count else 0][None]
            arrays = {name: value[sample : sample + 1] for name, value in views._asdict().items()}
            found = self._refiner(release, **arrays, reference=latents, noise=noise, level=np.array(level, np.float32))
            results.append((found["pictures"], found["sound"]))
        pictures, sound = (np.concatenate(parts) for parts in zip(*results, strict=True))
        return pictures, sound
