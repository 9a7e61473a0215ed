"""Weights of published networks, as torch hub keeps them: a file whose name ends in the first digits of its SHA-256."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path

import torch

from backend.protocol.errors import TurboPortraitError


def checkpoints() -> Path:
    """The folder where torch hub, and so this project, looks for them."""
    return Path(torch.hub.get_dir()) / "checkpoints"


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """A file's tensors by name.

    Raises:
        TurboPortraitError: `training_weights`: it is not what its name says, or holds no tensors.
    """
    digits = path.stem.rpartition("-")[2]
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if not found.startswith(digits):
        raise TurboPortraitError("training_weights", f"{path} is damaged: its SHA-256 is {found}, not {digits}...")
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)
        return {name: value for name, value in weights.items() if isinstance(value, torch.Tensor)}
    except (AttributeError, RuntimeError, pickle.UnpicklingError) as error:
        raise TurboPortraitError("training_weights", f"{path} does not hold weights: {error}") from error
