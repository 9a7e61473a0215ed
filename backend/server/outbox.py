"""What is owed to one client: replies that ZeroMQ has not passed on yet, and those that it takes no more of."""

from __future__ import annotations

from collections import deque

import zmq

_COUNTED_BYTES = 1 << 16
"""Smaller frames are copied by ZeroMQ, which holds few of them."""


class Outbox:
    """Sends to one client of a router, in order and without waiting."""

    def __init__(self, router: zmq.Socket, client: bytes) -> None:
        self._router = router
        self._client = client
        self._handed: deque[tuple[zmq.MessageTracker, int]] = deque()
        self._waiting: deque[list[memoryview]] = deque()

    def __len__(self) -> int:
        """Replies that ZeroMQ does not take yet."""
        return len(self._waiting)

    @property
    def owed(self) -> int:
        """Bytes in memory for this client."""
        while self._handed and self._handed[0][0].done:
            self._handed.popleft()
        return sum(size for _, size in self._handed) + sum(map(_size, self._waiting))

    def send(self, frames: list) -> None:
        """Send, or keep for `flush`.

        Raises:
            zmq.ZMQError: the client is gone.
        """
        self._waiting.append([memoryview(getattr(frame, "buffer", frame)) for frame in frames])
        self.flush()

    def flush(self) -> None:
        """Send as much as ZeroMQ takes; raises as `send`."""
        while self._waiting:
            frames = self._waiting[0]
            tracked = [zmq.Frame(f, track=True, copy=False) if f.nbytes >= _COUNTED_BYTES else f for f in frames]
            try:
                self._router.send_multipart([self._client, *tracked], zmq.DONTWAIT, copy=False)
            except zmq.Again:
                return
            self._waiting.popleft()
            if counted := [frame for frame in tracked if isinstance(frame, zmq.Frame)]:
                self._handed.append((zmq.MessageTracker(*counted), _size(frames)))


def _size(frames: list[memoryview]) -> int:
    return sum(frame.nbytes for frame in frames)
