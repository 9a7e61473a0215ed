"""Stable Diffusion Turbo: the base of the turbo preset, kept in the layout of diffusers."""

from __future__ import annotations

import shutil
from pathlib import Path

from backend.models.diffusers_folder import check_network, read_json
from backend.models.folder_files import check_inside
from backend.models.folders import models_folder
from backend.models.record import RECORD_NAME, Record, installing, sha256
from backend.protocol.errors import TurboPortraitError

HUB_NAME = "stabilityai/sd-turbo"
UNET = {"cross_attention_dim": 1024, "in_channels": 4, "block_out_channels": [320, 640, 1280, 1280]}
"""What tells its U-Net from others (DESIGN: 865.9 M parameters, cross-attention width 1024)."""
_PROMPT_PARTS = {
    "tokenizer": ("vocab.json", "merges.txt"),
    "text_encoder": ("config.json", "model.safetensors"),
}
_OTHER_FILES = ("model_index.json", "LICENSE.md", "scheduler/scheduler_config.json")
_MAX_FILE_BYTES = 8 << 30


def sd_turbo_folder() -> Path:
    """Where it lies when it is installed."""
    return models_folder() / "sd-turbo"


def local_base(name: str) -> str:
    """Where to load a base model from: our copy of Stable Diffusion Turbo if it is meant and there, else the name."""
    if name == HUB_NAME and (sd_turbo_folder() / RECORD_NAME).is_file():
        return str(sd_turbo_folder())
    return name


def install_sd_turbo(path: Path, licence: str, source: str = "", move: bool = False) -> Record:
    """Check a folder in diffusers' layout and copy what is needed of it into the user's model folder.

    Args:
        path: with `unet`, `vae`, `tokenizer` and `text_encoder`; half or single precision, safetensors.
        licence: the name of what it is used under.
        source: where it came from; the path unless given.
        move: take the files instead of copying them.

    Raises:
        TurboPortraitError: bad_base_model: a part is missing, damaged, or of another model.
    """
    files = _check(path)
    with installing(sd_turbo_folder(), replace=True) as folder:
        for file in files:
            target = folder / _plain(file.relative_to(path))
            target.parent.mkdir(parents=True, exist_ok=True)
            # A folder of the hub's cache is of links: what they point to is meant.
            (shutil.move if move else shutil.copyfile)(file, target)
        sums = {str(file.relative_to(folder).as_posix()): sha256(file) for file in _files(folder)}
        record = Record(source=source or str(path), licence=licence, files=sums)
        record.save(folder / RECORD_NAME)
    return record


def _check(path: Path) -> list[Path]:
    files = [*check_network(path, "unet", "bad_base_model"), *check_network(path, "vae", "bad_base_model")]
    config = read_json(path / "unet" / "config.json", "bad_base_model")
    odd = next((key for key, value in UNET.items() if config.get(key) != value), None)
    if odd:
        raise TurboPortraitError("bad_base_model", f"its unet has {odd} {config.get(odd)}, expected {UNET[odd]}")
    for part, names in _PROMPT_PARTS.items():
        for name in names:
            found = next((f for f in (path / part / name, path / part / _half(name)) if f.is_file()), None)
            if found is None:
                raise TurboPortraitError("bad_base_model", f"{part}/{name} is missing")
            files.append(found)
        files += [file for file in sorted((path / part).glob("*.json")) if file not in files]
    files += [path / name for name in _OTHER_FILES if (path / name).is_file()]
    check_inside(files, path, "bad_base_model")
    if large := next((file for file in files if file.stat().st_size > _MAX_FILE_BYTES), None):
        raise TurboPortraitError("bad_base_model", f"{large.name} has {large.stat().st_size} bytes")
    return files


def _plain(name: Path) -> Path:
    """diffusers looks for files of half precision under another name only when it is asked to."""
    return name.with_name(name.name.replace(".fp16.", "."))


def _half(name: str) -> str:
    stem, _, suffix = name.rpartition(".")
    return f"{stem}.fp16.{suffix}"


def _files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.is_file())
