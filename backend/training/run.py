"""A training run in its folder: it logs, shows pictures, saves, stops when told to, and goes on from its checkpoint."""

from __future__ import annotations

import logging
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np

from backend.interruption import Interruption
from backend.protocol.errors import TurboPortraitError
from backend.protocol.files import atomic_folder, storage_error
from backend.training.checkpoint import load_checkpoint, save_checkpoint
from backend.training.config import RunConfig
from backend.training.run_log import RunLog

log = logging.getLogger(__name__)

CHECKPOINT_NAME = "checkpoint.pt"
ConfigT = TypeVar("ConfigT", bound=RunConfig)


class Run(ABC, Generic[ConfigT]):
    """What every run does, whatever it trains.

    Args:
        config: its folder, how long it is, and how often it logs, shows and saves.

    Attributes:
        step, seconds: how far it is.
        interrupted: the number of the signal that ended `run` early, or 0.
        is_main: whether this process is the one that logs, reports and saves.
    """

    result_name: ClassVar[str]
    """Of the result in the run's folder."""
    picture_name: ClassVar[str]
    """Says what the columns of `pictures` are."""
    is_main = True

    def __init__(self, config: ConfigT) -> None:
        self.config = config
        self.folder = Path(config.folder)
        self.step, self.seconds, self.interrupted = 0, 0.0, 0
        self._log_state: dict[str, Any] = {}

    @abstractmethod
    def learn(self, step: int) -> dict[str, float]:
        """Take a step; its terms."""

    @abstractmethod
    def pictures(self) -> np.ndarray:
        """The same few samples each time, (H, W, 3) uint8, so that progress can be seen."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps of what is trained."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take a checkpoint's state.

        Raises:
            KeyError, RuntimeError, ValueError: it is of something else.
        """

    @abstractmethod
    def write_result(self, folder: Path) -> None:
        """Write what has been learnt, for use."""

    def agree(self, terms: dict[str, float], stop: bool) -> tuple[dict[str, float], bool]:
        """What all processes together have as terms, and whether any of them wants to stop."""
        return terms, stop

    def resume(self) -> None:
        """Make the folder, or go on from the checkpoint that is in it.

        Raises:
            TurboPortraitError: `bad_checkpoint`; `disk_full`, `read_only`, `cannot_write`: there can be no such folder.
        """
        path = self.folder / CHECKPOINT_NAME
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise storage_error(error, self.folder) from error
        if not path.is_file():
            return
        state = load_checkpoint(path)
        try:
            self.load_state_dict(state)
            self.step, self.seconds, self._log_state = state["step"], state["seconds"], state["log"]
        except (KeyError, RuntimeError, ValueError) as error:
            raise TurboPortraitError("bad_checkpoint", f"{path}: {error}") from error

    def run(self, report: Callable[[int, dict[str, float]], None], minutes: float | None = None) -> None:
        """Train up to the last step, for some minutes, or until a signal; then write checkpoint and result.

        Args:
            report: called in the main process after each step, with its number and terms.

        Raises:
            TurboPortraitError: `diverged`; `disk_full` and the like at the end (before the end they are warnings).
        """
        start, before = time.monotonic(), self.seconds
        run_log = RunLog(self.folder, self.step, self._log_state) if self.is_main else None
        with Interruption() as interruption:
            while self.step < self.config.steps:
                terms = self.learn(self.step)
                self.step += 1
                self.seconds = before + time.monotonic() - start
                late = minutes is not None and time.monotonic() - start > 60 * minutes
                terms, stopping = self.agree(terms, bool(interruption.signal) or late)
                if not all(map(math.isfinite, terms.values())):
                    raise TurboPortraitError("diverged", f"at step {self.step}")
                if run_log is not None:
                    self._record(run_log, terms)
                    report(self.step, terms)
                if stopping:
                    break
        self.interrupted = interruption.signal
        if run_log is not None:
            run_log.close()
            self._save(run_log)

    def _record(self, run_log: RunLog, terms: dict[str, float]) -> None:
        """What cannot be written before the end is a warning: there may be room again by then."""
        config = self.config
        run_log.add(terms)
        try:
            if self.step % config.log_every == 0:
                run_log.write(self.step, self.seconds)
            if self.step % config.pictures_every == 0:
                run_log.picture(self.picture_name, self.pictures(), self.step)
            if self.step % config.checkpoint_every == 0 and self.step < config.steps:
                self._save(run_log)
        except (OSError, TurboPortraitError) as error:
            log.warning("step %d: %s", self.step, error)

    def _save(self, run_log: RunLog) -> None:
        state = {"step": self.step, "seconds": self.seconds, "log": run_log.state_dict()}
        save_checkpoint(self.folder / CHECKPOINT_NAME, state | self.state_dict())
        with atomic_folder(self.folder / self.result_name) as folder:
            self.write_result(folder)
