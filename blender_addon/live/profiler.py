"""What the live preview costs and how fast it is: figures for the overlay, a log of JSON lines. Needs no Blender."""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

LIMIT_SECONDS = 0.005
"""No call on Blender's main thread may take longer, apart from the upload of pixels."""
KEPT = 500
"""Newest samples of each kind that the figures are taken from."""


class Profiler:
    """Durations in seconds by kind, and counts; main thread only.

    Kinds of calls: handler, timer, draw, upload. Kinds of latency: camera, from a picture before the camera to the head
    that does what it shows; raw and refined, from the change of a pose or a camera to the uploaded pixels, and
    raw_drawn, refined_drawn to the end of the redraw that shows them.
    """

    CALLS = ("handler", "timer", "draw")
    LATENCIES = ("camera", "raw", "raw_drawn", "refined", "refined_drawn")

    def __init__(self) -> None:
        self.samples: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=KEPT))
        self.counts: Counter[str] = Counter()
        self._log: IO[str] | None = None
        self._uploading = self._uploading_work = 0.0
        self._undrawn: list[tuple[str, float]] = []

    @contextmanager
    def call(self, kind: str) -> Iterator[None]:
        """Time a call on the main thread; what it spends in uploads counts as upload."""
        before, started = self._uploading, time.perf_counter()
        work_before = time.thread_time() - self._uploading_work
        yield
        worked = time.thread_time() - self._uploading_work - work_before
        if worked > LIMIT_SECONDS:
            # Not for want of a core: where other programs take the cores, wall time says little about a call.
            self.counts[f"{kind} over 5 ms of work"] += 1
        self.take(kind, time.perf_counter() - started - (self._uploading - before), work_ms=round(worked * 1000, 3))

    @contextmanager
    def upload(self) -> Iterator[None]:
        """Time the way of pixels into an image or a texture."""
        started, worked = time.perf_counter(), time.thread_time()
        yield
        seconds = time.perf_counter() - started
        self._uploading += seconds
        self._uploading_work += time.thread_time() - worked
        self.take("upload", seconds)

    def shown(self, stage: str, changed_at: float) -> None:
        """Pixels of a stage ("raw", "refined") are uploaded, for a change at `changed_at` (time.perf_counter)."""
        seconds = time.perf_counter() - changed_at
        self.take(stage, seconds)
        self._undrawn.append((stage, changed_at))

    def drawn(self) -> None:
        """A redraw has ended: what was uploaded before it is on screen."""
        now = time.perf_counter()
        for stage, changed_at in self._undrawn:
            self.take(f"{stage}_drawn", now - changed_at)
        self._undrawn.clear()
        self.samples["frame"].append(now)

    def count(self, what: str) -> None:
        """Something happened once more."""
        self.counts[what] += 1
        self.write(what)

    @property
    def frames_per_second(self) -> float:
        """Redraws of the viewport in the last second."""
        frames = self.samples["frame"]
        return sum(1 for at in frames if at > time.perf_counter() - 1)

    def milliseconds(self, kind: str) -> tuple[float, float, float] | None:
        """(median, 95th percentile, longest) of the newest samples; None without any."""
        values = self.samples[kind]
        if not values:
            return None
        median, high, longest = (float(x) * 1000 for x in np.percentile(values, (50, 95, 100)))
        return median, high, longest

    def reset(self) -> None:
        """Begin anew."""
        self.samples.clear()
        self.counts.clear()
        self._undrawn.clear()

    # The log

    @property
    def logging(self) -> bool:
        """A log is being written."""
        return self._log is not None

    def log_to(self, path: Path | None) -> None:
        """Write every sample as a line of JSON from now on, or no more.

        Raises:
            OSError: the file cannot be written.
        """
        if self._log is not None:
            self._log.close()
        self._log = None
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._log = path.open("w", encoding="utf-8", buffering=1 << 16)

    def write(self, event: str, **fields: object) -> None:
        """One line of the log."""
        if self._log is not None:
            self._log.write(json.dumps({"t": round(time.perf_counter(), 6), "event": event, **fields}) + "\n")

    def flush(self) -> None:
        """Have the log's last lines on disk."""
        if self._log is not None:
            self._log.flush()

    def take(self, kind: str, seconds: float, **fields: object) -> None:
        """One more sample of a kind."""
        self.samples[kind].append(seconds)
        if kind in self.CALLS and seconds > LIMIT_SECONDS:
            self.counts[f"{kind} over 5 ms"] += 1
        self.write(kind, ms=round(seconds * 1000, 3), **fields)


profiler = Profiler()
