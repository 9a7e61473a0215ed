"""Work spread over processes, that a signal ends in order."""

from __future__ import annotations

import multiprocessing
import signal
import sys
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from typing import TypeVar

from backend.interruption import Interruption

Item = TypeVar("Item")
GLANCE = 0.5
"""Seconds between looks for a signal."""


class Interrupted(Exception):
    """SIGTERM or Ctrl+C ended the work; what was in the making is given up, what was done stays.

    Attributes:
        signal: its number.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"Ended by {signal.Signals(number).name}")
        self.signal = number


def spread(
    items: Iterable[Item], work: Callable, workers: int, start: Callable[..., None], *arguments: object
) -> Generator[tuple[Item, Future], None, None]:
    """Do `work(item)` in processes that each began with `start(*arguments)`; items and results as they are ready.

    Close it where it is not read to its end: it waits for its processes.

    Raises:
        Interrupted: a signal came. concurrent.futures.process.BrokenProcessPool: a process died.
    """
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, context, initializer=_begin, initargs=(start, arguments))
    with Interruption() as interruption:
        try:
            running = {pool.submit(_do, work, item): item for item in items}
            while running and not interruption.signal:
                ready, _ = wait(running, GLANCE, FIRST_COMPLETED)
                for future in ready:
                    yield running.pop(future), future
            if running and interruption.signal:
                for process in multiprocessing.active_children():
                    process.terminate()
                raise Interrupted(interruption.signal)
        finally:
            pool.shutdown(cancel_futures=True)


def _begin(start: Callable[..., None], arguments: tuple[object, ...]) -> None:
    # Ctrl+C reaches every process of a terminal, and what they start; the parent alone decides what becomes of it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end)
    start(*arguments)


_ending = False


def _end(number: int, _: object) -> None:
    global _ending
    _ending = True
    sys.exit(128 + number)


def _do(work: Callable, item: Item) -> object:
    # What a process had fetched beforehand can't be taken back from it.
    if _ending:
        raise SystemExit
    return work(item)
