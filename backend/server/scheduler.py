"""Which request is computed next: latest wins for live views, nothing dropped in batch, clients take turns."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from backend.protocol import limits
from backend.protocol.errors import TurboPortraitError
from backend.protocol.messages import GetMesh, Register, Render, View

_LIVE_IN_A_ROW = 4
"""After so many live requests a waiting batch request has its turn, or a dragged slider would starve a render."""


@dataclass(eq=False)
class QueuedRequest:
    """A request that waits or is at work. The router's thread flags it, the worker's thread looks at the flags.

    Attributes:
        superseded: keys of views that a newer request took over.
        work: what is left of it, once it has begun; see `Scheduler.give_way`.
        shown: its raw views were sent already, and its refined ones have time.
        timings: seconds, by stage.
        warnings: sentences for whoever asked.
    """

    client: bytes
    request: Register | Render | GetMesh
    received: float = field(default_factory=time.monotonic)
    superseded: set[str] = field(default_factory=set)
    cancelled: bool = False
    work: Iterator[None] | None = None
    shown: bool = False
    timings: dict[str, float] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    @property
    def live(self) -> bool:
        """Latest wins."""
        return isinstance(self.request, Render) and self.request.priority == "live"

    @property
    def photo_bytes(self) -> int:
        """What the request holds in memory while it waits."""
        if not isinstance(self.request, Register):
            return 0
        texture = self.request.texture
        return self.request.photo.nbytes + (0 if texture is None else texture.nbytes)

    @property
    def views(self) -> tuple[View, ...]:
        """What shall be rendered."""
        return self.request.views if isinstance(self.request, Render) else ()

    @property
    def wanted(self) -> list[View]:
        """The views that no newer request took over."""
        return [view for view in self.views if view.key not in self.superseded]

    @property
    def unwanted(self) -> tuple[str, ...]:
        """The keys of the views that a newer request took over."""
        return tuple(view.key for view in self.views if view.key in self.superseded) if self.live else ()

    def check(self) -> None:
        """Called between stages of the work.

        Raises:
            TurboPortraitError: cancelled, or superseded where no view is wanted any more.
        """
        if self.cancelled:
            raise TurboPortraitError("cancelled")
        if self.live and not self.wanted:
            raise TurboPortraitError("superseded")


class _Queue:
    """What one client waits for."""

    def __init__(self) -> None:
        self.live: list[QueuedRequest] = []
        self.batch: deque[QueuedRequest] = deque()
        self.paused = False

    def __len__(self) -> int:
        return len(self.live) + len(self.batch)


class Scheduler:
    """The queues of all clients; every method may be called from any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._queues: OrderedDict[bytes, _Queue] = OrderedDict()
        self._running: QueuedRequest | None = None
        self._live_in_a_row = 0
        self._closed = False

    def submit(self, job: QueuedRequest) -> list[QueuedRequest]:
        """Queue a job; returns the waiting jobs of which it left nothing to do.

        Raises:
            TurboPortraitError: too_many_requests.
        """
        with self._changed:
            queue = self._queues.setdefault(job.client, _Queue())
            stale = self._supersede(queue, job) if job.live else []
            if len(queue) >= limits.MAX_QUEUED_REQUESTS:
                raise TurboPortraitError("too_many_requests", f"{len(queue)} of this client")
            bytes_of_all = job.photo_bytes + sum(map(_photo_bytes, self._queues.values()))
            if (
                job.photo_bytes + _photo_bytes(queue) > limits.MAX_QUEUED_BYTES
                or bytes_of_all > limits.MAX_QUEUED_BYTES_OF_ALL
            ):
                raise TurboPortraitError("too_many_requests", "too many photographs wait to be registered")
            (queue.live if job.live else queue.batch).append(job)
            self._changed.notify()
            return stale

    def take(self) -> QueuedRequest | None:
        """Wait for the next job; None when closed."""
        with self._changed:
            while not self._closed:
                if job := self._next():
                    self._running = job
                    return job
                self._changed.wait()
            return None

    def finish(self) -> None:
        """The job taken last is done."""
        with self._changed:
            self._running = None

    def give_way(self, job: QueuedRequest) -> bool:
        """Let others go before the rest of a job; True if some wait, and the job with them now.

        Live views go before a batch, raw ones before refined ones, another client's raw ones before a raw one's rest.
        """
        with self._changed:
            queue = self._queues.get(job.client)
            others = [
                other
                for client, other in self._queues.items()
                if not other.paused and (job.shown or not job.live or client != job.client)
            ]
            if queue is None or not any(self._first_live(other) if job.live else other.live for other in others):
                return False
            if job.live:
                queue.live.append(job)
            else:
                queue.batch.appendleft(job)
            self._queues.move_to_end(job.client)
            self._running = None
            return True

    def cancel(self, client: bytes, request_id: int) -> QueuedRequest | None:
        """Stop a job: returned if it waited, flagged if it is at work."""
        with self._changed:
            if self._running and (self._running.client, self._running.request.id) == (client, request_id):
                self._running.cancelled = True
            queue = self._queues.get(client)
            for jobs in (queue.live, queue.batch) if queue else ():
                for job in jobs:
                    if job.request.id == request_id:
                        jobs.remove(job)
                        return job
        return None

    def drop(self, client: bytes) -> None:
        """A client is gone: forget what it waits for, stop what is at work for it."""
        with self._changed:
            self._queues.pop(client, None)
            if self._running and self._running.client == client:
                self._running.cancelled = True

    def pause(self, client: bytes, paused: bool) -> None:
        """Begin no more jobs of a client that does not take in its replies, or begin again."""
        with self._changed:
            if client in self._queues:
                self._queues[client].paused = paused
                self._changed.notify()

    def close(self) -> None:
        """Let `take` return None from now on, and stop what is at work."""
        with self._changed:
            self._closed = True
            if self._running:
                self._running.cancelled = True
            self._changed.notify_all()

    @property
    def waiting(self) -> int:
        """Jobs of all clients that wait."""
        with self._changed:
            return sum(map(len, self._queues.values()))

    @property
    def running(self) -> QueuedRequest | None:
        """The job at work."""
        return self._running

    def _supersede(self, queue: _Queue, newer: QueuedRequest) -> list[QueuedRequest]:
        keys = {view.key for view in newer.views}
        running = self._running
        for job in [*queue.live, *([running] if running and running.client == newer.client and running.live else [])]:
            job.superseded = job.superseded | keys  # A new set: the worker may be reading the old one.
        stale = [job for job in queue.live if not job.wanted]
        queue.live = [job for job in queue.live if job.wanted]
        return stale

    def _next(self) -> QueuedRequest | None:
        ready = [(client, queue) for client, queue in self._queues.items() if not queue.paused]
        # A raw view is quick, and the hand waits for it; refined ones have time.
        live = next(((client, queue) for client, queue in ready if self._first_live(queue)), None)
        live = live or next(((client, queue) for client, queue in ready if queue.live), None)
        batches = [(client, queue) for client, queue in ready if queue.batch]
        # What has begun holds memory.
        batch = next((each for each in batches if each[1].batch[0].work), None) or next(iter(batches), None)
        if batch and (not live or self._live_in_a_row >= _LIVE_IN_A_ROW):
            self._live_in_a_row = 0
            self._queues.move_to_end(batch[0])
            return batch[1].batch.popleft()
        if live:
            self._live_in_a_row += 1
            self._queues.move_to_end(live[0])
            job = self._first_live(live[1]) or live[1].live[0]
            live[1].live.remove(job)
            return job
        return None

    @staticmethod
    def _first_live(queue: _Queue) -> QueuedRequest | None:
        """The first whose raw views are yet to be rendered."""
        return next((job for job in queue.live if not job.shown), None)


def _photo_bytes(queue: _Queue) -> int:
    return sum(job.photo_bytes for job in queue.batch)
