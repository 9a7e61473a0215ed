"""GPAvatar's published weights: checked and converted once, found by the avatar maker."""

from __future__ import annotations

from pathlib import Path

from backend.models.folders import models_folder
from backend.models.record import RECORD_NAME, Record

WEIGHTS_NAME = "model.safetensors"


def gpavatar_folder() -> Path:
    """Where the converted weights lie."""
    return models_folder() / "gpavatar"


def gpavatar_weights_path() -> Path:
    """The converted weights: a safetensors file of float32 tensors with the names and shapes of `state_dict.json`.

    Raises:
        FileNotFoundError: they are not installed; the message says what to run.
        TurboPortraitError: model_damaged: the file is not what was installed.
    """
    folder = gpavatar_folder()
    record = Record.load(folder / RECORD_NAME)
    if record is None or not (folder / WEIGHTS_NAME).is_file():
        raise FileNotFoundError(
            "GPAvatar's weights are not installed: run `turboportrait models add gpavatar PATH` with the published "
            "one_model.ckpt, or `turboportrait models add gpavatar --download`"
        )
    record.verify(folder)
    return folder / WEIGHTS_NAME
