"""The refiner: raw views of an avatar and its reference portrait in, photo-like views out, in one step."""

from backend.refiner.config import RefinerConfig, available_presets
from backend.refiner.refinement import ReferenceState, Refinement
from backend.refiner.refiner import Refiner

__all__ = ["ReferenceState", "Refinement", "Refiner", "RefinerConfig", "available_presets"]
