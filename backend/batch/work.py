"""What a driver hands to workers, and the pool that works in the driver's own process."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from backend.batch.plan import FrameTask
from backend.batch.records import OutputRecord
from backend.protocol.errors import TurboPortraitError

if TYPE_CHECKING:
    from backend.batch.rendering import FrameRenderer


@dataclass(frozen=True)
class Work:
    """One call of a worker: `method` of `Worker`, and its arguments.

    Attributes:
        attempt: how often a worker died with it.
    """

    method: str
    arguments: tuple[Any, ...]
    attempt: int = 0

    @property
    def tasks(self) -> list[FrameTask]:
        """The frames that it renders; none for a movie."""
        return list(self.arguments[0]) if self.method == "render" else []


class WorkerLost(Exception):
    """The process that had a work is gone."""


Outcome = tuple[Work, list[OutputRecord] | Exception]
"""A work and its records, or what ended it."""


class Pool(Protocol):
    """Workers, wherever they are."""

    def room(self) -> int:
        """How many more works may be handed over now: the back-pressure."""

    def submit(self, work: Work) -> None:
        """Hand over a work; returns at once."""

    def outcomes(self, seconds: float) -> list[Outcome]:
        """Works that are finished; waits up to so long for the first."""

    def close(self) -> None:
        """End the workers, whatever they do."""


@dataclass(frozen=True)
class WorkerSettings:
    """What a worker is made with; travels to its process.

    Attributes:
        photos: SHA-256 -> bytes.
        textures: SHA-256 -> (H, W, 4) uint8.
        pipeline: a callable without arguments, importable on every node.
        threads: for computing on the CPU; 0 for all.
    """

    output: Path
    job: Path
    photos: dict[str, bytes]
    textures: dict[str, np.ndarray]
    pipeline: Any
    threads: int = 0


class Worker:
    """Does works in its own process; loads the models when the first one comes."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self._renderer: FrameRenderer | None = None

    def do(self, work: Work) -> list[OutputRecord]:
        """Carry out a work."""
        return getattr(self, work.method)(*work.arguments)

    def render(self, tasks: list[FrameTask], temporal: bool) -> list[OutputRecord]:
        """See `FrameRenderer.render`."""
        if self._renderer is None:
            from backend.batch.rendering import FrameRenderer

            s = self._settings
            self._renderer = FrameRenderer(s.pipeline(), s.output, s.job, s.photos, s.textures)
        return self._renderer.render(tasks, temporal)

    def movie(self, task: Any) -> list[OutputRecord]:
        """See `movies.make_movie`."""
        from backend.batch.movies import make_movie

        return [make_movie(task, self._settings.output, self._settings.job)]


class LocalPool:
    """One worker in this very process: for small jobs, for tests, and where Ray is not installed."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._worker = Worker(settings)
        self._waiting: deque[Work] = deque()

    def room(self) -> int:
        return 1 - len(self._waiting)

    def submit(self, work: Work) -> None:
        self._waiting.append(work)

    def outcomes(self, seconds: float) -> list[Outcome]:
        work = self._waiting.popleft()
        try:
            return [(work, self._worker.do(work))]
        except (OSError, TurboPortraitError) as error:
            return [(work, error)]

    def close(self) -> None:
        self._waiting.clear()
