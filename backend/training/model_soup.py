"""The mean of refiners of one descent: what each learnt apart stays in part (model soups, Wortsman et al. 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from backend.protocol.errors import TurboPortraitError
from backend.protocol.files import atomic_folder
from backend.refiner import Refiner, RefinerConfig, storage


def write_mean(folders: Sequence[Path], output: Path) -> None:
    """Write a refiner whose weights are the means of others'.

    Args:
        folders: whole refiners of one architecture, which came from the same weights: means of strangers are noise.
        output: the folder that is written, whole or not at all.

    Raises:
        TurboPortraitError: `training_weights`: one is missing, is adapters alone, or does not fit the first;
            and as `atomic_folder`.
    """
    mean: Refiner | None = None
    weights: list[dict[str, torch.Tensor]] = []
    for folder in folders:
        try:
            if RefinerConfig.load(folder).base is not None:
                raise ValueError(f"{folder} holds adapters for a base model; only whole refiners have a mean")
            refiner = storage.load(Refiner, folder)
            mean = mean or refiner
            # The first one's own check: names and shapes are the same.
            mean.load_state_dict(refiner.state_dict())
        except (OSError, ValueError, RuntimeError) as error:
            raise TurboPortraitError("training_weights", f"{folder}: {error}") from error
        weights.append({name: value.clone() for name, value in refiner.state_dict().items()})
    if mean is None:
        raise ValueError("a mean of no weights")
    mean.load_state_dict({name: torch.stack([w[name] for w in weights]).mean(0) for name in weights[0]})
    with atomic_folder(output) as folder:
        mean.save_pretrained(folder)
