"""One connection to one backend: non-blocking for hosts with an event loop, blocking for scripts."""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from backend.client.connection import CONNECT_SECONDS, Connection
from backend.client.discovery import Endpoint
from backend.client.handle import Handle
from backend.protocol.errors import BackendUnreachable, TurboPortraitError
from backend.protocol.head_parameters import HeadParameters
from backend.protocol.messages import (
    Cancel,
    Forget,
    GetMesh,
    Hello,
    HelloReply,
    MeshReply,
    Progress,
    Register,
    Registered,
    Render,
    Reply,
    Request,
    Shutdown,
    Status,
    StatusReply,
    View,
    ViewPixels,
    error_reply,
)
from backend.protocol.rigged_mesh import RiggedMesh
from backend.protocol.validation import check_request

_TICK = 0.05


@dataclass
class Rendered:
    """The outcome of a blocking render: views by key, timings in seconds, what is not as asked in sentences."""

    raw: dict[str, ViewPixels] = field(default_factory=dict)
    refined: dict[str, ViewPixels] = field(default_factory=dict)
    timings: dict[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


class Client:
    """A connection to one backend, for the life of that backend; used from one thread.

    `submit` and `poll` never wait. When the backend cannot be reached, dies or falls silent, every request under way
    fails with `backend_unreachable` or `backend_lost`, `lost` is set, and the client is of no more use: make a new one.
    """

    def __init__(self, endpoint: Endpoint, name: str = "") -> None:
        """Begin to connect.

        Args:
            endpoint: as `find_backend` or `Endpoint.at` give it.
            name: what this client is called in the backend's log.

        Raises:
            TurboPortraitError: bad_address.
        """
        self.endpoint = endpoint
        self.backend: HelloReply | None = None
        self._connection = Connection(endpoint)
        self._ids = itertools.count(1)
        self._pending: dict[int, Handle] = {}
        self._events: deque[tuple[Handle, Reply]] = deque()
        self._hello = self.submit(Hello, client=name)

    @property
    def lost(self) -> TurboPortraitError | None:
        """Why this client is of no more use; None while it is."""
        return self._connection.lost

    # Never waiting

    def submit(self, kind: type[Request], **fields: Any) -> Handle:
        """Send a request of this kind. What is wrong with it arrives as an error, as if the backend had answered."""
        handle = Handle(kind(id=next(self._ids), **fields))
        try:
            if self.lost:
                raise self.lost
            check_request(handle.request)
            self._pending[handle.id] = handle
            self._connection.send(handle.request)
        except TurboPortraitError as error:
            self._deliver(handle, error_reply(handle.id, error))
        return handle

    def poll(self, wait: float = 0.0) -> list[tuple[Handle, Reply]]:
        """What has arrived since the last call, in order; waits for the first of it only if told to (seconds)."""
        self._pump(0.0 if self._events else wait)
        events = list(self._events)
        self._events.clear()
        return events

    def cancel(self, handle: Handle) -> None:
        """Ask the backend to stop a request; it ends with the error `cancelled`, or is done if it was faster."""
        if not handle.finished:
            self.submit(Cancel, target=handle.id)

    @property
    def pending(self) -> int:
        """Requests under way."""
        return len(self._pending)

    def close(self) -> None:
        """Give the sockets back; requests under way are dropped by the backend."""
        self._connection.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Waiting

    def wait(
        self,
        handle: Handle,
        timeout: float | None = None,
        interrupted: Callable[[], bool] | None = None,
        on_reply: Callable[[Reply], None] | None = None,
    ) -> Handle:
        """Wait until a request is finished.

        Args:
            handle: what `submit` gave.
            timeout: seconds, None for as long as the backend lives.
            interrupted: asked about 20 times a second; True cancels the request.
            on_reply: called with each of its replies.

        Raises:
            TurboPortraitError: the request's error; backend_lost or backend_unreachable; timeout; cancelled.
        """
        deadline = time.monotonic() + timeout if timeout is not None else float("inf")
        while True:
            mine = [reply for owner, reply in self._events if owner is handle]
            self._events = deque(event for event in self._events if event[0] is not handle)
            if on_reply:
                for reply in mine:
                    on_reply(reply)
            if handle.error:
                raise handle.error
            if handle.finished:
                return handle
            stop = "cancelled" if interrupted and interrupted() else "timeout" if time.monotonic() >= deadline else ""
            if stop:
                self.cancel(handle)
                self._pending.pop(handle.id, None)
                raise TurboPortraitError(stop)
            self._pump(max(0.0, min(_TICK if interrupted else 0.5, deadline - time.monotonic())))

    def connect(self, timeout: float = CONNECT_SECONDS) -> HelloReply:
        """Wait for the backend's hello: its version and capabilities.

        Raises:
            TurboPortraitError: backend_unreachable, protocol_version.
        """
        try:
            return self.wait(self._hello, timeout).result_of(HelloReply)
        except TurboPortraitError as error:
            raise BackendUnreachable(self.endpoint.address) if error.code == "timeout" else error from None

    def register(
        self,
        photo: bytes,
        maker: str = "bust",
        head_model: str = "open_head",
        texture: np.ndarray | None = None,
        face: int = 0,
        timeout: float | None = None,
        on_progress: Callable[[float, str], None] | None = None,
    ) -> Registered:
        """Register a portrait (the bytes of an image file) and wait; errors as `wait`.

        Args:
            texture, face: see `Register`.
        """

        def report(reply: Reply) -> None:
            if on_progress and isinstance(reply, Progress):
                on_progress(reply.fraction, reply.stage)

        pixels = np.frombuffer(photo, np.uint8)
        handle = self.submit(Register, photo=pixels, maker=maker, head_model=head_model, texture=texture, face=face)
        return self.wait(handle, timeout, on_reply=report).result_of(Registered)

    def render(
        self,
        avatar: str,
        parameters: HeadParameters,
        views: Sequence[View],
        timeout: float | None = None,
        interrupted: Callable[[], bool] | None = None,
        **options: Any,
    ) -> Rendered:
        """Render views and wait; `options` are the further fields of `Render`. Errors as `wait`."""
        options = {"priority": "batch", **options}
        handle = self.submit(Render, avatar=avatar, parameters=parameters, views=tuple(views), **options)
        self.wait(handle, timeout, interrupted)
        raw, refined = (
            {view.key: view for view in part.views} if part else {} for part in (handle.raw, handle.refined)
        )
        return Rendered(raw, refined, handle.timings, handle.warnings)

    def mesh(self, avatar: str, timeout: float | None = None) -> RiggedMesh:
        """The avatar's mesh; errors as `wait`."""
        return self.wait(self.submit(GetMesh, avatar=avatar), timeout).result_of(MeshReply).mesh

    def status(self, timeout: float = CONNECT_SECONDS) -> StatusReply:
        """How the backend is; errors as `wait`."""
        return self.wait(self.submit(Status), timeout).result_of(StatusReply)

    def forget(self, avatar: str, timeout: float = CONNECT_SECONDS) -> None:
        """Drop an avatar from the backend's memory; errors as `wait`."""
        self.wait(self.submit(Forget, avatar=avatar), timeout)

    def shutdown(self, timeout: float = CONNECT_SECONDS) -> None:
        """End the backend; errors as `wait`."""
        self.wait(self.submit(Shutdown), timeout)

    # Replies

    def _pump(self, wait: float) -> None:
        """Hand out what has arrived, waiting for the first of it for at most `wait` seconds."""
        for reply in self._connection.receive(wait):
            if isinstance(reply, HelloReply):
                self.backend = reply
            # Id 0: the backend could not read what we sent, so it cannot say which of them it was.
            meant = list(self._pending) if reply.id == 0 else [reply.id]
            for handle in filter(None, map(self._pending.get, meant)):
                self._deliver(handle, reply)
        if self.lost:
            for handle in list(self._pending.values()):
                self._deliver(handle, error_reply(handle.id, self.lost))

    def _deliver(self, handle: Handle, reply: Reply) -> None:
        handle.take(reply)
        self._events.append((handle, reply))
        if handle.finished:
            self._pending.pop(handle.id, None)
