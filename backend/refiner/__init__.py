"""The refiner: raw views of an avatar and its reference portrait in, photo-like views out, in one step.

`Refiner` needs torch and is imported when it is asked for.
"""

from typing import TYPE_CHECKING, Any

from backend.refiner.config import RefinerConfig, available_presets
from backend.refiner.runtime.reference import ReferenceState

if TYPE_CHECKING:
    from backend.refiner.refiner import Refiner

__all__ = ["ReferenceState", "Refiner", "RefinerConfig", "available_presets"]


def __getattr__(name: str) -> Any:
    if name == "Refiner":
        from backend.refiner.refiner import Refiner

        return Refiner
    raise AttributeError(name)
