"""The batches of every step, prepared ahead by other processes if wished."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import cv2
import numpy as np
from torch.utils.data import DataLoader, Dataset

from backend.people.shards import Identity
from backend.training.config import TrainingConfig
from backend.training.samples import Batch, draw_batch


class StepBatches(Dataset):
    """The batches of a step, one per pass of the accumulation: seed, step and process alone decide them."""

    def __init__(self, identities: list[Identity], config: TrainingConfig, process: int) -> None:
        self.identities, self.config, self.process = identities, config, process

    def __getitem__(self, step: int) -> list[Batch]:
        config = self.config
        rng = np.random.default_rng([config.seed, step, self.process])
        return [
            draw_batch(self.identities, config.samples, config.batch, rng) for _ in range(config.accumulation)
        ]  # fmt: skip


def batches_from(dataset: StepBatches, first_step: int) -> Iterator[list[Batch]]:
    """The batches of the steps from `first_step` up to the last, in order."""
    config = dataset.config
    return iter(
        DataLoader(
            dataset,
            batch_size=None,
            sampler=range(first_step, config.steps),
            num_workers=config.workers,
            worker_init_fn=_start_worker,
            # Forked workers share the identities' memory.
            multiprocessing_context="fork" if config.workers else None,
        )
    )


def _start_worker(_: int) -> None:
    cv2.setNumThreads(0)
    # A signal to the whole group is for the trainer, which ends its workers when it has saved.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
