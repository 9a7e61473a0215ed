"""turboportrait models: what can be chosen by name, and whether it is ready."""

from __future__ import annotations

import hashlib
from pathlib import Path

from rich.console import Console
from rich.table import Table


def models() -> None:
    """List head models, avatar makers and refiner presets, with checksums."""
    from backend.models import models_folder
    from backend.pipeline.catalog import Catalog, head_model_files, preset_folders

    catalog = Catalog.default()
    table = Table("kind", "name", "state", "sha256", box=None)
    for name, path in head_model_files().items():
        table.add_row("head model", name, str(path), _checksum([path]))
    for name in catalog.makers:
        table.add_row("avatar maker", name, "ready", "")
    for folder in preset_folders():
        weights = sorted(folder.rglob("*.safetensors"))
        state = "ready" if catalog.preset_ready(folder.name) else "weights not installed"
        table.add_row("refiner preset", folder.name, state, _checksum(weights) if weights else "")
    console = Console()
    console.print(table)
    console.print(f"Your own FLAME files (.pkl, .npz) belong in {models_folder() / 'head_models'}", soft_wrap=True)


def _checksum(paths: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()[:16]
