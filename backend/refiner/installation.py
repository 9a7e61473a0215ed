"""The user's own refiners: folders that `turboportrait train refiner` writes, checked and copied."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from backend.models.diffusers_folder import check_network
from backend.models.folder_files import check_inside
from backend.models.names import checked_name
from backend.models.presets import refiners_folder, shipped_presets
from backend.models.record import RECORD_NAME, Record, installing, sha256
from backend.models.tensors import read_shapes
from backend.protocol.errors import TurboPortraitError

if TYPE_CHECKING:
    from backend.refiner.config import RefinerConfig

MAX_REFINER_BYTES = 16 << 30
_CODE = "bad_refiner"


def install_refiner(path: Path, name: str = "", licence: str = "your own") -> tuple[str, Record]:
    """Check a refiner's folder and copy what is needed of it, as a preset of that name.

    Args:
        path: a whole refiner (config.json, unet, vae, refiner.safetensors), or adapters on a base model (config.json
            with `base` and `lora`, lora.safetensors, and refiner.safetensors where it has skips or a prompt of its
            own; unet/config.json and vae/config.json, which tell what base it needs).
        name: the preset's; the config's unless given.
        licence: what it may be used under.

    Raises:
        TurboPortraitError: bad_refiner, bad_model_name, model_exists.
    """
    config = _config(path)
    files = _check_whole(path) if config.base is None else _check_adapters(path, config, config.base.name)
    files += [file for file in (path / "refiner.safetensors", path / "README.md") if file.is_file()]
    check_inside(files, path, _CODE)
    if sum(file.stat().st_size for file in files) > MAX_REFINER_BYTES:
        raise TurboPortraitError(_CODE, f"its files have more than {MAX_REFINER_BYTES >> 30} GiB")
    name = checked_name(name or config.name, shipped_presets())
    with installing(refiners_folder() / name) as folder:
        for file in files:
            target = folder / file.relative_to(path)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
        dataclasses.replace(config, name=name).save(folder)
        sums = {f.relative_to(folder).as_posix(): sha256(f) for f in sorted(folder.rglob("*")) if f.is_file()}
        record = Record(source=str(path), licence=licence, files=sums)
        record.save(folder / RECORD_NAME)
    return name, record


def _config(path: Path) -> RefinerConfig:
    from backend.refiner.config import RefinerConfig

    try:
        return RefinerConfig.load(path)
    except (OSError, ValueError) as error:
        raise TurboPortraitError(_CODE, str(error)[:300]) from error


def _check_whole(path: Path) -> list[Path]:
    if not (path / "refiner.safetensors").is_file():
        raise TurboPortraitError(_CODE, "refiner.safetensors is missing: train the refiner first")
    read_shapes([path / "refiner.safetensors"], _CODE)
    return [*check_network(path, "unet", _CODE), *check_network(path, "vae", _CODE)]


def _check_adapters(path: Path, config: RefinerConfig, base: str) -> list[Path]:
    """Adapters are of the rank and on the networks that the config says; the base itself need not be at hand."""
    weights = path / "lora.safetensors"
    if not config.lora or not weights.is_file():
        raise TurboPortraitError(_CODE, f"it builds on {base} but has no adapters of its own")
    shapes = read_shapes([file for file in (weights, path / "refiner.safetensors") if file.is_file()], _CODE)
    adapters = {name: shape for name, shape in shapes.items() if ".lora_" in name}
    parts = {name.partition(".")[0] for name in adapters}
    if parts != set(config.lora):
        raise TurboPortraitError(
            _CODE,
            f"lora.safetensors adapts {', '.join(sorted(parts)) or 'nothing'}, config.json {', '.join(config.lora)}",
        )
    for part, spec in config.lora.items():
        for name, shape in adapters.items():
            side = 0 if ".lora_A" in name else 1
            if name.startswith(f"{part}.") and (len(shape) < 2 or shape[side] != spec.rank):
                raise TurboPortraitError(
                    _CODE, f"{name} {shape} is of another rank than config.json says ({spec.rank})"
                )
    return [weights, *(file for file in (path / "unet/config.json", path / "vae/config.json") if file.is_file())]
