"""A training run in its folder: resumable to the step, the same result however often it is interrupted."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from pathlib import Path

import torch

from backend.protocol.errors import TurboPortraitError
from backend.training.batches import StepBatches, batches_from
from backend.training.checkpoint import load_checkpoint, save_checkpoint, save_folder
from backend.training.config import TrainingConfig
from backend.training.corpus import load_identities, load_probe_identities
from backend.training.interruption import Interruption
from backend.training.learner import Learner
from backend.training.probe import draw_probe, picture_grid
from backend.training.run_log import RunLog
from backend.training.samples import check_samples

log = logging.getLogger(__name__)

CHECKPOINT_NAME, RESULT_NAME = "checkpoint.pt", "refiner"


class Trainer:
    """A run that knows how to go on from its checkpoint.

    Everything random in a step comes from the seed, the step's number and the process's, so there is no generator's
    state to keep. All processes have the same weights, so the first one's checkpoint is everybody's.

    Args:
        config: the run.

    Attributes:
        learner: what is trained.
        step, seconds: how far it is.
        interrupted: the number of the signal that ended `run` early, or 0.
        is_main: whether this process is the one that logs, reports and saves.

    Raises:
        TurboPortraitError: the corpus, weights or checkpoint that it names cannot be used.
    """

    def __init__(self, config: TrainingConfig) -> None:
        self.config = config
        identities = load_identities(config.corpus, held_out=False)
        check_samples(identities, config.samples)
        self.learner = Learner(config)
        self.accelerator = self.learner.accelerator
        self.is_main = self.accelerator.is_main_process
        self.batches = StepBatches(identities, config, self.accelerator.process_index)
        self.step, self.seconds, self.interrupted = 0, 0.0, 0
        self.folder = Path(config.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._log_state = {}
        if (self.folder / CHECKPOINT_NAME).is_file():
            self._resume()
        # Nobody may write the next checkpoint before everybody has read this one.
        self.accelerator.wait_for_everyone()

    def run(self, report: Callable[[int, dict[str, float]], None], minutes: float | None = None) -> None:
        """Train up to the last step, for some minutes, or until a signal; then write checkpoint and result.

        Args:
            report: called in the main process after each step, with its number and terms.

        Raises:
            TurboPortraitError: `diverged`; `not_saved` at the end (before the end it is a warning).
        """
        start, before = time.monotonic(), self.seconds
        run_log = RunLog(self.folder, self.step, self._log_state) if self.is_main else None
        with Interruption() as interruption:
            for batches in batches_from(self.batches, self.step):
                terms = self.learner.learn(self.step, batches)
                self.step += 1
                self.seconds = before + time.monotonic() - start
                late = minutes is not None and time.monotonic() - start > 60 * minutes
                means, stopping = self._agree(terms, bool(interruption.signal) or late)
                if run_log is not None:
                    self._record(run_log, means)
                    report(self.step, means)
                if stopping:
                    break
        self.interrupted = interruption.signal
        if run_log is not None:
            run_log.close()
            self._save(run_log)
        self.accelerator.wait_for_everyone()

    def _agree(self, terms: dict[str, torch.Tensor], stop: bool) -> tuple[dict[str, float], bool]:
        """The terms' means over the processes, and whether any of them wants to stop."""
        mine = torch.stack([*terms.values(), torch.tensor(float(stop), device=self.learner.device)])
        *values, stops = self.accelerator.reduce(mine, "mean").tolist()
        if not all(map(math.isfinite, values)):
            raise TurboPortraitError("diverged", f"at step {self.step}")
        return dict(zip(terms, values, strict=True)), stops > 0

    def _record(self, run_log: RunLog, means: dict[str, float]) -> None:
        config = self.config
        run_log.add(means)
        if self.step % config.log_every == 0:
            run_log.write(self.step, self.seconds)
        if self.step % config.pictures_every == 0:
            probe = draw_probe(load_probe_identities(config.corpus), config.samples)
            run_log.picture(
                "raw, refined, true, reference", picture_grid(probe, self.learner.pictures(probe)), self.step
            )
        if self.step % config.checkpoint_every == 0 and self.step < config.steps:
            try:
                self._save(run_log)
            except TurboPortraitError as error:
                log.warning("step %d: %s", self.step, error)

    def _save(self, run_log: RunLog) -> None:
        state = {"step": self.step, "seconds": self.seconds, "log": run_log.state_dict()}
        save_checkpoint(self.folder / CHECKPOINT_NAME, state | self.learner.state_dict())
        save_folder(self.folder / RESULT_NAME, self.learner.save_result)

    def _resume(self) -> None:
        path = self.folder / CHECKPOINT_NAME
        state = load_checkpoint(path)
        try:
            self.learner.load_state_dict(state)
            self.step, self.seconds, self._log_state = state["step"], state["seconds"], state["log"]
        except (KeyError, RuntimeError, ValueError) as error:
            raise TurboPortraitError("bad_checkpoint", f"{path}: {error}") from error
