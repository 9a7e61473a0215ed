"""A run's log: lines of JSON for machines, TensorBoard with picture grids for people."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch

from backend.protocol.files import append_file, write_file

log = logging.getLogger(__name__)

LOG_NAME, BOARD_NAME = "log.jsonl", "tensorboard"


class RunLog:
    """The log in a run's folder.

    Args:
        folder: the run's.
        first_step: where the run goes on; what was logged after it is forgotten.
        state: what `state_dict` gave for the checkpoint, empty at a run's start.
    """

    def __init__(self, folder: Path, first_step: int, state: dict[str, Any]) -> None:
        self.path = folder / LOG_NAME
        self.sums: dict[str, float] = dict(state.get("sums", {}))
        self.count: int = state.get("count", 0)
        if self.path.is_file():
            kept = [line for line in self.path.read_text().splitlines() if _step_of(line) <= first_step]
            write_file(self.path, "".join(f"{line}\n" for line in kept))
        self._board = _open_board(folder / BOARD_NAME, first_step)

    def add(self, terms: dict[str, float]) -> None:
        """Take a step's terms in."""
        for name, value in terms.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
        self.count += 1

    def write(self, step: int, seconds: float) -> None:
        """Write an entry: the means since the last one. Single samples differ too much to be compared."""
        means = {name: total / self.count for name, total in self.sums.items()}
        self.sums, self.count = {}, 0
        entry = {"step": step, "seconds": round(seconds, 1), "memory": round(_memory(), 2)}
        entry |= {name: round(value, 5) for name, value in means.items()}
        append_file(self.path, json.dumps(entry).encode() + b"\n")
        if self._board is not None:
            for name, value in means.items():
                self._board.add_scalar(name, value, step)
            self._board.flush()

    def picture(self, name: str, image: np.ndarray, step: int) -> None:
        """Show an image (H, W, 3) uint8 in TensorBoard."""
        if self._board is not None:
            self._board.add_image(name, image, step, dataformats="HWC")
            self._board.flush()

    def state_dict(self) -> dict[str, Any]:
        """The sums since the last entry, so that entries do not depend on interruptions."""
        return {"sums": dict(self.sums), "count": self.count}

    def close(self) -> None:
        """Write out what TensorBoard's file still lacks."""
        if self._board is not None:
            self._board.close()


def _step_of(line: str) -> float:
    """The step of an entry; infinite for one that a crash cut short."""
    try:
        return json.loads(line)["step"]
    except ValueError:
        return float("inf")


def _memory() -> float:
    """What this process holds now or, of a GPU's memory, has held at the most, GB."""
    if torch.cuda.is_initialized():
        return torch.cuda.max_memory_allocated() / 1e9
    return psutil.Process().memory_info().rss / 1e9


def _open_board(folder: Path, first_step: int):
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        log.warning("No log for TensorBoard: %s. Install the package tensorboard to have it.", error)
        return None
    return SummaryWriter(str(folder), purge_step=first_step + 1)
