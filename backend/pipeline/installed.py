"""Everything that can be chosen by name, and what is known of it; and taking things away again."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from backend.models.diffusers_folder import read_json
from backend.models.gpavatar import gpavatar_folder
from backend.models.head_models import GPAVATAR_VERTICES, OPEN_HEAD, head_models_folder
from backend.models.presets import refiners_folder, shipped_presets
from backend.models.record import RECORD_NAME, Record, sha256
from backend.models.sd_turbo import HUB_NAME, sd_turbo_folder
from backend.models.sources import load_sources
from backend.protocol.errors import TurboPortraitError
from backend.protocol.files import discard, storage_error
from flame import load_head_model
from flame.files import HeadModelError

OUR_LICENCE = "GPL-3.0-or-later"
NOT_INSTALLED = "weights not installed"
READY = "ready"


@dataclass(frozen=True)
class ModelEntry:
    """A line of the list: kind, name, state, checksum (the first 16 digits of a sha256) and licence."""

    kind: str
    name: str
    state: str
    checksum: str = ""
    licence: str = ""


def entries(verify: bool = False) -> list[ModelEntry]:
    """All head models, avatar makers, base models and refiner presets.

    Args:
        verify: compare the installed files with their checksums, which reads all of them.
    """
    return [*_heads(), *_makers(verify), *_base_models(verify), *_presets(verify)]


def remove(kind: str, name: str) -> None:
    """Take an installed model away.

    Args:
        kind: flame, gpavatar, sd-turbo or refiner.
        name: of a head model or refiner; anything for the other two.

    Raises:
        TurboPortraitError: model_not_installed; and as `atomic_file`.
    """
    heads = [head_models_folder() / f"{name}{suffix}" for suffix in (".npz", ".pkl", ".json")]
    places = {
        "flame": heads,
        "gpavatar": [gpavatar_folder()],
        "sd-turbo": [sd_turbo_folder()],
        "refiner": [refiners_folder() / name] if name else [],
    }
    there = [place for place in places.get(kind, []) if os.path.lexists(place) and place.name not in ("", ".", "..")]
    if not there or (kind in ("flame", "refiner") and Path(name).name != name):
        raise TurboPortraitError("model_not_installed", f"{kind} {name}".strip()[:80])
    for place in there:
        try:
            discard(place)
        except OSError as error:
            raise storage_error(error, place) from error


def _heads() -> list[ModelEntry]:
    from backend.pipeline.catalog import head_model_files

    found = []
    for name, path in head_model_files().items():
        record = Record.load(path.with_suffix(".json"))
        licence = "CC0" if name == OPEN_HEAD else record.licence if record else "the file's own"
        try:
            model = load_head_model(path)
        except HeadModelError as error:
            found.append(ModelEntry("head model", name, f"damaged: {error}", "", licence))
            continue
        count = len(model.v_template)
        state = f"{READY}, {count} vertices" + (", fits gpavatar" if count == GPAVATAR_VERTICES else "")
        found.append(ModelEntry("head model", name, state, model.checksum[:16], licence))
    return found


def _makers(verify: bool) -> list[ModelEntry]:
    from backend.pipeline.catalog import Catalog

    kept = {"gpavatar": _published("avatar maker", "gpavatar", gpavatar_folder(), verify)}
    return [
        kept.get(name) or ModelEntry("avatar maker", name, READY, "", OUR_LICENCE) for name in Catalog.default().makers
    ]


def _base_models(verify: bool) -> list[ModelEntry]:
    return [_published("base model", "sd-turbo", sd_turbo_folder(), verify)]


def _presets(verify: bool) -> list[ModelEntry]:
    from backend.models.presets import preset_folders
    from backend.pipeline.catalog import Catalog, preset_problem

    catalog, found = Catalog.default(), []
    for name, folder in preset_folders().items():
        if problem := preset_problem(name, folder):
            found.append(ModelEntry("refiner preset", name, f"damaged: {problem}"))
            continue
        if name not in shipped_presets() and Record.load(folder / RECORD_NAME):
            entry = _kept("refiner preset", name, folder, verify)
        else:
            entry = ModelEntry("refiner preset", name, READY, _checksum(folder), _shipped_licence(folder))
        if entry.state == READY and not catalog.preset_ready(name):
            entry = dataclasses.replace(entry, state=NOT_INSTALLED)
        found.append(entry)
    return found


def _shipped_licence(folder: Path) -> str:
    """Ours, unless the weights are those of a base model."""
    base = read_json(folder / "config.json", "bad_refiner").get("base") or {}
    return load_sources()["sd-turbo"].licence.name if base.get("name") == HUB_NAME else OUR_LICENCE


def _published(kind: str, name: str, folder: Path, verify: bool) -> ModelEntry:
    entry = _kept(kind, name, folder, verify)
    return dataclasses.replace(entry, licence=entry.licence or load_sources()[name].licence.name)


def _kept(kind: str, name: str, folder: Path, verify: bool) -> ModelEntry:
    """Of a folder with a record."""
    record = Record.load(folder / RECORD_NAME)
    if record is None:
        there = os.path.lexists(folder / RECORD_NAME)
        return ModelEntry(kind, name, f"damaged: {RECORD_NAME} cannot be read" if there else NOT_INSTALLED)
    state = READY
    if verify:
        try:
            record.verify(folder)
        except TurboPortraitError as error:
            state = error.sentence
    return ModelEntry(kind, name, state, _joined(record.files), record.licence)


def _checksum(folder: Path) -> str:
    return _joined({str(path.relative_to(folder)): sha256(path) for path in folder.rglob("*.safetensors")})


def _joined(sums: dict[str, str]) -> str:
    """One checksum of the weights among some files: of a single one its own."""
    weights = [sums[name] for name in sorted(sums) if name.endswith(".safetensors")]
    if len(weights) < 2:
        return "".join(weights)[:16]
    return hashlib.sha256("".join(weights).encode()).hexdigest()[:16]
