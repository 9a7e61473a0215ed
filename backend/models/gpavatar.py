"""GPAvatar's published weights: checked and converted once, found by the avatar maker."""

from __future__ import annotations

import json
from functools import cache, lru_cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from backend.models.folders import models_folder
from backend.models.record import RECORD_NAME, Record, installing, sha256
from backend.protocol.errors import TurboPortraitError

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS_NAME = "model.safetensors"
IGNORED_PREFIX = "percep_loss."
"""The perceptual loss's own network, which the published checkpoint carries along."""


def gpavatar_folder() -> Path:
    """Where the converted weights lie."""
    return models_folder() / "gpavatar"


def gpavatar_weights_path() -> Path:
    """The converted weights: a safetensors file of float32 tensors with the names and shapes of `expected_shapes`.

    The file is compared with its checksum once per process and again whenever it has changed.

    Raises:
        FileNotFoundError: they are not installed; the message says what to run.
        TurboPortraitError: model_damaged: the file is not what was installed.
    """
    folder = gpavatar_folder()
    record = Record.load(folder / RECORD_NAME)
    if record is None:
        raise FileNotFoundError(
            "GPAvatar's weights are not installed: run `turboportrait models add gpavatar PATH` with the published "
            "one_model.ckpt, or `turboportrait models add gpavatar --download`"
        )
    path = folder / WEIGHTS_NAME
    state = path.stat() if path.is_file() else None
    _verify(folder, tuple(record.files.items()), state and (state.st_mtime_ns, state.st_size, state.st_ino))
    return path


@lru_cache(maxsize=4)
def _verify(folder: Path, files: tuple[tuple[str, str], ...], state: tuple[int, ...] | None) -> None:
    """`Record.verify` of a file in this state; what raises is not remembered."""
    Record(source="", licence="", files=dict(files)).verify(folder)


@cache
def expected_shapes() -> dict[str, tuple[int, ...]]:
    """Names and shapes of the 574 tensors of the published network (`one_model.ckpt`, without the perceptual loss)."""
    table = resources.files("backend.avatars.gpavatar") / "state_dict.json"
    return {name: tuple(shape) for name, shape in json.loads(table.read_text()).items()}


def install_gpavatar(path: Path, licence: str, expected: dict[str, tuple[int, ...]] | None = None) -> Record:
    """Check a checkpoint and write its weights as safetensors into the user's model folder, in one step.

    Args:
        path: the published `one_model.ckpt`, or a .safetensors file with the same tensors.
        licence: the name of what it is used under.
        expected: names and shapes; those of the published network unless given.

    Raises:
        TurboPortraitError: bad_weights: see `read_checkpoint` and `check_shapes`.
    """
    from safetensors.torch import save_file

    weights = convert(path, expected or expected_shapes())
    with installing(gpavatar_folder(), replace=True) as folder:
        save_file(weights, folder / WEIGHTS_NAME)
        record = Record(
            source=path.name,
            source_sha256=sha256(path),
            licence=licence,
            files={WEIGHTS_NAME: sha256(folder / WEIGHTS_NAME)},
        )
        record.save(folder / RECORD_NAME)
    return record


def convert(path: Path, expected: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """The network's weights in float32.

    Raises:
        TurboPortraitError: bad_weights.
    """
    from backend.models.checkpoint import as_float32, read_checkpoint
    from backend.models.tensors import read_safetensors

    state = read_safetensors(path) if path.suffix == ".safetensors" else read_checkpoint(path)
    state = {name: tensor for name, tensor in state.items() if not name.startswith(IGNORED_PREFIX)}
    check_shapes(path, {name: tuple(tensor.shape) for name, tensor in state.items()}, expected)
    return {name: as_float32(path, name, tensor) for name, tensor in state.items()}


def check_shapes(path: Path, given: dict[str, tuple[int, ...]], expected: dict[str, tuple[int, ...]]) -> None:
    """Compare names and shapes with what the network needs.

    Raises:
        TurboPortraitError: bad_weights: the first few names that are missing, unknown or of another shape.
    """
    missing = [name for name in expected if name not in given]
    unknown = [name for name in given if name not in expected]
    misshapen = [
        f"{name} {given[name]} instead of {shape}"
        for name, shape in expected.items()
        if name in given and given[name] != shape
    ]
    faults = [
        f"{len(names)} {what}: {', '.join(names[:3])}{', …' if len(names) > 3 else ''}"
        for what, names in (("missing", missing), ("unknown", unknown), ("of another shape", misshapen))
        if names
    ]
    if faults:
        raise TurboPortraitError(
            "bad_weights",
            f"{path.name} is not GPAvatar's published network of {len(expected)} tensors: {'; '.join(faults)}",
        )
