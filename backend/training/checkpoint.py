"""What a run keeps on disk to go on with."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch

from backend.protocol.errors import TurboPortraitError
from backend.protocol.files import atomic_file


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write tensors, numbers, texts and containers of them.

    Raises:
        TurboPortraitError: as `atomic_file`.
    """
    with atomic_file(path) as part, open(part, "wb") as file:
        torch.save(state, file)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read what `save_checkpoint` wrote, onto the CPU.

    Raises:
        TurboPortraitError: `bad_checkpoint`.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, pickle.UnpicklingError) as error:
        raise TurboPortraitError("bad_checkpoint", f"{path}: {error}") from error
