"""What a run keeps on disk: each thing is written aside and takes its place only when it is whole."""

from __future__ import annotations

import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from backend.protocol.errors import TurboPortraitError


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write tensors, numbers, texts and containers of them.

    Raises:
        TurboPortraitError: `not_saved`; what was at the path is still there.
    """
    partial = path.with_name(f"{path.name}.part")
    try:
        with partial.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except (OSError, RuntimeError) as error:
        partial.unlink(missing_ok=True)
        raise TurboPortraitError("not_saved", f"{path}: {error}") from error


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read what `save_checkpoint` wrote, onto the CPU.

    Raises:
        TurboPortraitError: `bad_checkpoint`.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, pickle.UnpicklingError) as error:
        raise TurboPortraitError("bad_checkpoint", f"{path}: {error}") from error


def save_folder(folder: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a new folder, which then takes the place of the one that was there.

    Raises:
        TurboPortraitError: `not_saved`; what was at the path is still there.
    """
    partial, old = folder.with_name(f"{folder.name}.part"), folder.with_name(f"{folder.name}.old")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        write(partial)
        shutil.rmtree(old, ignore_errors=True)
        if folder.exists():
            folder.rename(old)
        partial.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
    except Exception as error:
        # Whatever writes weights has its own exceptions for a full disk.
        shutil.rmtree(partial, ignore_errors=True)
        raise TurboPortraitError("not_saved", f"{folder}: {error}") from error
