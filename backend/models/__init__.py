"""The user's own models: what can be installed, from where, and where it lies."""

from backend.models.folders import models_folder
from backend.models.gpavatar import gpavatar_weights_path

__all__ = ["gpavatar_weights_path", "models_folder"]
