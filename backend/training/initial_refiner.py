"""The refiner that a run starts with."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from backend.protocol.errors import TurboPortraitError
from backend.refiner import Refiner, RefinerConfig
from backend.refiner.config import PRESETS
from backend.training.config import TrainingConfig


def refiner_to_train(config: TrainingConfig) -> Refiner:
    """The preset's architecture with fresh weights, or on its base model with fresh adapters; or as `initial` is.

    Raises:
        TurboPortraitError: `training_weights`: one of them is missing, or they do not fit each other.
    """
    known = PRESETS / config.preset
    preset = known if known.is_dir() else Path(config.preset)
    try:
        architecture = RefinerConfig.load(preset)
        if not config.initial:
            return Refiner.for_training(preset, config.base or None)
        if _apart_from_base(architecture) != _apart_from_base(RefinerConfig.load(config.initial)):
            raise ValueError(f"the refiner in {config.initial} is not of the preset {config.preset}")
        if architecture.base is not None:
            return Refiner.for_training(config.initial, config.base or None)
        refiner = Refiner.for_training(preset)
        refiner.load_state_dict(Refiner.from_pretrained(config.initial).state_dict())
        return refiner
    except (OSError, ValueError, RuntimeError) as error:
        raise TurboPortraitError("training_weights", str(error)) from error


def _apart_from_base(config: RefinerConfig) -> RefinerConfig:
    return dataclasses.replace(config, base=None)
