"""The driver: keeps the workers busy, counts, retries, and says what happens."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from backend.batch.job import RECORDS, Job
from backend.batch.movies import MovieTask, movie_tasks
from backend.batch.plan import Plan, is_there
from backend.batch.records import OutputRecord, RecordFile
from backend.batch.work import Pool, Work, WorkerLost
from backend.protocol.errors import TurboPortraitError

ATTEMPTS = 4
"""Deaths of workers that a frame survives before it counts as the cause."""
WAIT_SECONDS = 0.5

Tell = Callable[[dict[str, Any]], None]
"""Takes events: `event` and what belongs to it, see `docs/batch.md`."""


@dataclass
class ShotState:
    """How far a shot is, in pictures; `seconds` are sums per stage over those that are there."""

    name: str
    frames: int
    kept: int = 0
    done: int = 0
    failed: int = 0
    seconds: dict[str, float] = field(default_factory=dict)

    def add_seconds(self, record: OutputRecord) -> None:
        """Count a frame's time."""
        for stage, seconds in record.seconds.items():
            self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds


@dataclass
class Summary:
    """What a run did.

    Attributes:
        failures: records of frames and movies that failed.
        driver_seconds: CPU time of this process while frames were rendered elsewhere.
    """

    shots: list[ShotState]
    failures: list[OutputRecord] = field(default_factory=list)
    movies: list[OutputRecord] = field(default_factory=list)
    retries: int = 0
    stopped: bool = False
    wall_seconds: float = 0.0
    driver_seconds: float = 0.0

    @property
    def kept(self) -> int:
        return sum(shot.kept for shot in self.shots)

    @property
    def done(self) -> int:
        return sum(shot.done for shot in self.shots)


class Driver:
    """Runs a plan once.

    Args:
        kept, missing: see `plan.split_done`.
        batch: frames that are refined together.
        movies: kinds of movies per shot.
        records: what earlier runs left.
        stop: asked all the time; True ends the run, what is in flight is given up.
    """

    def __init__(
        self,
        plan: Plan,
        job: Job,
        kept: Sequence[OutputRecord],
        missing: Sequence[int],
        batch: int = 4,
        movies: Sequence[str] = (),
        records: dict[str, OutputRecord] | None = None,
        tell: Tell = lambda event: None,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self._plan, self._job = plan, job
        self._tell, self._stop = tell, stop
        self._shots = {shot.name: ShotState(shot.name, len(shot.frames) * plan.views) for shot in plan.shots}
        for record in kept:
            self._shots[record.shot].kept += 1
            self._shots[record.shot].add_seconds(record)
        self._works = self._all_works(missing, batch)
        self._movies: dict[str, list[MovieTask]] = {task.shot: [] for task in movie_tasks(plan, movies)}
        for task in movie_tasks(plan, movies):
            self._movies[task.shot].append(task)
        self._known = records or {}
        self._again: deque[Work] = deque()
        self._summary = Summary(list(self._shots.values()))

    def run(self, make_pool: Callable[[], Pool]) -> Summary:
        """Render what is missing; returns when all is done, failed or stopped. Makes a pool only if there is work."""
        for shot in self._shots.values():
            self._finish_shot(shot)
        first = self._next()
        if first is None:
            return self._summary
        self._again.appendleft(first)
        pool = make_pool()
        try:
            self._drive(pool)
        finally:
            pool.close()
        return self._summary

    def _drive(self, pool: Pool) -> None:
        started, cpu = time.perf_counter(), time.process_time()
        in_flight = 0
        while not (stopped := self._stop()):
            while pool.room() > 0 and (work := self._next()) is not None:
                pool.submit(work)
                in_flight += 1
            if not in_flight and pool.room() > 0:
                break
            for work, outcome in pool.outcomes(WAIT_SECONDS):
                in_flight -= 1
                if isinstance(outcome, Exception):
                    self._recover(work, outcome)
                else:
                    self._take(outcome)
        self._summary.stopped = stopped
        self._summary.wall_seconds = time.perf_counter() - started
        self._summary.driver_seconds = time.process_time() - cpu

    def _all_works(self, missing: Sequence[int], batch: int) -> Iterator[Work]:
        temporal = self._plan.settings.temporal
        for tasks in self._plan.batches(missing, batch):
            yield Work("render", (tasks, temporal))

    def _next(self) -> Work | None:
        if self._again:
            return self._again.popleft()
        return next(self._works, None)

    def _take(self, records: list[OutputRecord]) -> None:
        for record in records:
            shot = self._shots[record.shot]
            if record.frame is None:
                (self._summary.failures if record.code else self._summary.movies).append(record)
                self._tell({"event": "movie", "shot": record.shot, "path": record.path, **_error(record)})
                continue
            if record.code:
                shot.failed += 1
                self._summary.failures.append(record)
            else:
                shot.done += 1
                shot.add_seconds(record)
            self._tell(
                {
                    "event": "frame",
                    "shot": record.shot,
                    "frame": record.frame,
                    "path": record.path,
                    "worker": record.worker,
                    "seconds": record.seconds,
                    **_error(record),
                    "shot_done": shot.kept + shot.done,
                    "shot_frames": shot.frames,
                }
            )
            self._finish_shot(shot)

    def _finish_shot(self, shot: ShotState) -> None:
        """When a shot's frames are all there: its movies, those that don't exist yet."""
        if shot.kept + shot.done + shot.failed < shot.frames:
            return
        self._tell({"event": "shot", "shot": shot.name, "failed": shot.failed, "kept": shot.kept, "done": shot.done})
        if shot.failed:
            return
        for task in self._movies.get(shot.name, ()):
            record = self._known.get(f"{task.key} {task.path}")
            if not is_there(record, self._job.output):
                self._again.append(Work("movie", (task,)))

    def _recover(self, work: Work, error: Exception) -> None:
        """A worker died, or could not begin: try again, a frame at a time when it happens again."""
        if not isinstance(error, WorkerLost):
            raise error
        self._summary.retries += 1
        attempt = work.attempt + 1
        self._tell({"event": "retry", "attempt": attempt, "frames": len(work.tasks), "sentence": str(error)[:300]})
        if attempt >= ATTEMPTS:
            self._give_up(work)
        elif attempt == 1 or len(work.tasks) < 2 or work.arguments[1]:
            self._again.append(replace(work, attempt=attempt))
        else:
            self._again.extend(Work("render", ([task], False), attempt=attempt) for task in work.tasks)

    def _give_up(self, work: Work) -> None:
        files = [
            OutputRecord(picture.key, task.shot, task.frame, picture.path)
            for task in work.tasks
            for picture in task.written
        ]
        if work.method == "movie":
            movie: MovieTask = work.arguments[0]
            files = [OutputRecord(movie.key, movie.shot, None, movie.path)]
        records = [file.failed(TurboPortraitError("worker_lost")) for file in files]
        # The page names them all the same; and what is not recorded as done is tried again by the next run.
        with contextlib.suppress(TurboPortraitError):
            RecordFile(self._job.folder / RECORDS).add(records)
        self._take(records)


def _error(record: OutputRecord) -> dict[str, str]:
    return {"code": record.code, "sentence": record.sentence} if record.code else {}
