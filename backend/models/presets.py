"""Which refiner presets there are: those that ship and the user's own, a folder each. Loads nothing."""

from __future__ import annotations

from pathlib import Path

from backend.models.folders import models_folder
from backend.protocol.names import name_problem

SHIPPED = Path(__file__).parents[1] / "refiner" / "presets"
_CONFIG = "config.json"


def refiners_folder() -> Path:
    """Where the user's refiners lie."""
    return models_folder() / "refiners"


def shipped_presets() -> dict[str, Path]:
    """The folders of the presets that ship, by name."""
    return _presets(SHIPPED)


def preset_folders() -> dict[str, Path]:
    """The folders of all presets by name; none of the user's takes the place of one that ships."""
    return dict(sorted({**_presets(refiners_folder()), **shipped_presets()}.items()))


def _presets(folder: Path) -> dict[str, Path]:
    found = [path.parent for path in sorted(folder.glob(f"[!.]*/{_CONFIG}"))]
    return {folder.name: folder for folder in found if not name_problem(folder.name)}
