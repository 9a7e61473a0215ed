"""What the pictures depend on besides the poses: the software's version and the models' files."""

from __future__ import annotations

import hashlib
import importlib.metadata
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from backend.protocol.shots import RAW


@cache
def software_version() -> str:
    """The release that is installed."""
    try:
        return importlib.metadata.version("turboportrait3d")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def preset_checksum(name: str) -> str:
    """SHA-256 over a refiner preset's files; that of nothing for raw views."""
    if name == RAW:
        return ""
    from backend.models.presets import preset_folders

    folder = preset_folders().get(name)
    return _files_checksum(folder) if folder else ""


def head_model_checksum(name: str) -> str:
    """SHA-256 of a head model's file; empty if there is none of this name."""
    from backend.pipeline.catalog import head_model_files

    path = head_model_files().get(name)
    return _files_checksum(path) if path else ""


def installed(presets: Iterable[str], head_models: Iterable[str]) -> dict[str, str]:
    """The release and the checksums of what is asked for, as this machine has them."""
    found = {"release": software_version()}
    found |= {f"refiner {name}": preset_checksum(name) for name in sorted(presets)}
    return found | {f"head model {name}": head_model_checksum(name) for name in sorted(head_models)}


@cache
def _files_checksum(path: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.is_file() and file.suffix != ".md":
            digest.update(f"{file.relative_to(path)}\0".encode())
            with open(file, "rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()
