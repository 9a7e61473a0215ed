"""The user's own head models: FLAME files, checked by loading them and kept as .npz."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np

from backend.models.folders import models_folder
from backend.models.names import checked_name
from backend.models.record import Record
from backend.protocol.errors import TurboPortraitError
from backend.protocol.files import atomic_file, npz_bytes
from backend.protocol.names import name_problem
from flame import HeadModel, load_head_model
from flame.files import (
    OPTIONAL_KEYS,
    REGION,
    REQUIRED_KEYS,
    HeadModelError,
    head_model_from_arrays,
    read_arrays,
    read_file,
)

GPAVATAR_VERTICES = 5023
"""What GPAvatar's network was trained with: the vertices of every FLAME release."""
OPEN_HEAD = "open_head"


def head_models_folder() -> Path:
    """Where the user's head models lie."""
    return models_folder() / "head_models"


def install_head_model(path: Path, licence: str, name: str = "") -> tuple[str, HeadModel]:
    """Check a FLAME file and keep it under a name; a pickle becomes an .npz, so that it is never unpickled again.

    Args:
        path: .pkl or .npz.
        licence: the name of what it is used under.
        name: the file's stem unless given.

    Returns:
        The name, and the model as it is loaded from now on.

    Raises:
        TurboPortraitError: bad_head_model, bad_model_name, model_exists; and as `atomic_file`.
    """
    name = checked_name(name or path.stem, {OPEN_HEAD})
    folder = head_models_folder()
    if any(os.path.lexists(folder / f"{name}{suffix}") for suffix in (".npz", ".pkl")):
        raise TurboPortraitError("model_exists", name)
    content, arrays = _read(path)
    target = folder / f"{name}.npz"
    with atomic_file(target) as part:
        part.write_bytes(content if content[:2] == b"PK" else npz_bytes(**_plain(arrays)))
        model = load_head_model(part)
    checksum = hashlib.sha256(content).hexdigest()
    Record(source=path.name, source_sha256=checksum, licence=licence, files={target.name: model.checksum}).save(
        folder / f"{name}.json"
    )
    return name, model


def _read(path: Path) -> tuple[bytes, dict[str, Any]]:
    """The content of a head-model file, and its arrays, which make a head model."""
    try:
        content = read_file(path)
        arrays = read_arrays(path.name, content)
        head_model_from_arrays(arrays, path.stem, "")
    except HeadModelError as error:
        raise TurboPortraitError("bad_head_model", str(error)) from error
    return content, arrays


def _plain(content: dict) -> dict[str, np.ndarray]:
    """What of a FLAME pickle makes the head model."""
    known = {*REQUIRED_KEYS, *OPTIONAL_KEYS}
    return {
        key: np.asarray(value)
        for key, value in content.items()
        if key in known or (key.startswith(REGION) and not name_problem(key))
    }
