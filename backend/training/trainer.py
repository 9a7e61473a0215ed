"""The run that trains a refiner: resumable to the step, the same result however often it is interrupted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from backend.people.shards import load_identities, load_preview_identities
from backend.training.batches import StepBatches, batches_from
from backend.training.config import TrainingConfig
from backend.training.learner import Learner
from backend.training.preview_samples import draw_preview, picture_grid
from backend.training.run import Run
from backend.training.samples import Batch, check_samples


class Trainer(Run[TrainingConfig]):
    """A run of a `Learner`, in one process or several.

    Everything random in a step comes from the seed, the step's number and the process's, so there is no generator's
    state to keep. All processes have the same weights, so the main one's checkpoint is everybody's.

    Args:
        config: the run.

    Attributes:
        learner: what is trained.

    Raises:
        TurboPortraitError: the corpus, weights or checkpoint that it names cannot be used.
    """

    result_name = "refiner"
    picture_name = "raw, refined, true, reference"

    def __init__(self, config: TrainingConfig) -> None:
        super().__init__(config)
        self.config: TrainingConfig = config
        identities = load_identities(config.corpus, held_out=False)
        if config.baked_corpus:
            identities += load_identities(config.baked_corpus, held_out=False)
        check_samples(identities, config.samples)
        self.learner = Learner(config)
        self.accelerator = self.learner.accelerator
        self.is_main = self.accelerator.is_main_process
        self.batches = StepBatches(identities, config, self.accelerator.process_index)
        self._coming: Iterator[list[Batch]] | None = None
        self.resume()
        # Nobody may write the next checkpoint before everybody has read this one.
        self.accelerator.wait_for_everyone()

    def learn(self, step: int) -> dict[str, float]:
        """Take a step; its terms in this process."""
        if self._coming is None:
            self._coming = batches_from(self.batches, step)
        terms = self.learner.learn(step, next(self._coming))
        return dict(zip(terms, torch.stack(list(terms.values())).tolist(), strict=True))

    def agree(self, terms: dict[str, float], stop: bool) -> tuple[dict[str, float], bool]:
        """The terms' means over the processes, and whether any of them wants to stop."""
        mine = torch.tensor([*terms.values(), float(stop)], device=self.learner.device)
        *means, stops = self.accelerator.reduce(mine, "mean").tolist()
        return dict(zip(terms, means, strict=True)), stops > 0

    def pictures(self) -> np.ndarray:
        """A few people, held out if any are: raw, refined, true, reference."""
        preview = draw_preview(load_preview_identities(self.config.corpus), self.config.samples)
        return picture_grid(preview, self.learner.pictures(preview))

    def state_dict(self) -> dict[str, Any]:
        """The learner's."""
        return self.learner.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The learner's."""
        self.learner.load_state_dict(state)

    def write_result(self, folder: Path) -> None:
        """The averaged weights as a refiner."""
        self.learner.save_result(folder)
