"""The user's own head models: FLAME files, checked by loading them and kept as .npz."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from backend.models.folders import models_folder
from backend.models.names import checked_name
from backend.models.record import Record, sha256
from backend.protocol.errors import TurboPortraitError
from backend.protocol.files import atomic_file, npz_bytes
from flame import HeadModel, load_head_model
from flame.files import MAX_FILE_BYTES, HeadModelError
from flame.unpickler import load_restricted

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
    if any((folder / f"{name}{suffix}").exists() for suffix in (".npz", ".pkl")):
        raise TurboPortraitError("model_exists", name)
    _check_unpacked(path)
    _load(path)
    target = folder / f"{name}.npz"
    with atomic_file(target) as part:
        if zipfile.is_zipfile(path):
            part.write_bytes(path.read_bytes())
        else:
            with open(path, "rb") as file:
                part.write_bytes(npz_bytes(**_arrays(load_restricted(file))))
        model = _load(part)
    Record(source=path.name, source_sha256=sha256(path), licence=licence, files={target.name: model.checksum}).save(
        folder / f"{name}.json"
    )
    return name, model


def _check_unpacked(path: Path) -> None:
    """An .npz may be small and unpack to anything; what its table of contents promises is never exceeded."""
    try:
        with zipfile.ZipFile(path) as archive:
            total = sum(member.file_size for member in archive.infolist())
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile):
        return  # no .npz; loading it tells what it is instead
    if total > MAX_FILE_BYTES:
        raise TurboPortraitError("bad_head_model", f"{path.name} unpacks to {total} bytes, more than any head model")


def _load(path: Path) -> HeadModel:
    try:
        return load_head_model(path)
    except HeadModelError as error:
        raise TurboPortraitError("bad_head_model", str(error)) from error


def _arrays(content: dict) -> dict[str, np.ndarray]:
    """What of a FLAME pickle an .npz can hold without pickling: all its arrays, texts and numbers."""
    arrays = {key: np.asarray(value) for key, value in content.items()}
    return {key: value for key, value in arrays.items() if not value.dtype.hasobject}
