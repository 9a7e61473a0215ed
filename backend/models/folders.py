"""Where the user's own model files lie."""

from __future__ import annotations

import os
from pathlib import Path

from backend.client.discovery import state_folder


def models_folder() -> Path:
    """The folder of everything that `turboportrait models add` installs; TURBOPORTRAIT_MODELS overrides it."""
    return Path(os.environ.get("TURBOPORTRAIT_MODELS") or state_folder() / "models")
