"""The router's thread: reads requests, answers what needs no computing, queues the rest, passes replies on."""

from __future__ import annotations

import contextlib
import importlib.metadata
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
import zmq

from backend.pipeline import Pipeline
from backend.protocol import limits
from backend.protocol.codec import VERSION, decode_request, encode, request_id
from backend.protocol.errors import TurboPortraitError
from backend.protocol.messages import (
    Accepted,
    Cancel,
    Done,
    Forget,
    GetMesh,
    Heartbeat,
    Hello,
    HelloReply,
    Message,
    Register,
    Render,
    Request,
    Shutdown,
    Status,
    StatusReply,
    error_reply,
)
from backend.protocol.validation import check_request
from backend.server.door import MESSAGES_IN_FLIGHT, Door
from backend.server.outbox import Outbox
from backend.server.scheduler import QueuedRequest, Scheduler
from backend.server.worker import RequestWorker

log = logging.getLogger(__name__)
_OUTLET = "inproc://replies"
_STOP = b"stop"
_MAX_OUTBOX = 1024
"""Replies that are kept for a client that takes none in; after that it counts as gone."""
_RETRY_SECONDS = 0.02


@dataclass
class _Peer:
    """`key` is the public key that it came in with."""

    key: str
    outbox: Outbox
    name: str = ""


class Server:
    """One backend: binds at once, computes in a thread of its own, runs until told to stop."""

    def __init__(
        self,
        pipeline: Pipeline,
        address: str = "tcp://127.0.0.1:*",
        keys_folder: Path | None = None,
        session: str = "",
        still_wanted: Callable[[], bool] = lambda: True,
    ) -> None:
        """Bind.

        Args:
            pipeline: what computes.
            address: tcp://HOST:PORT (port * for a free one) or ipc://PATH; not loopback only with keys.
            keys_folder: CURVE keys and who may connect besides this user (see `backend.client.keys`).
            session: tells this start of a backend from others.
            still_wanted: asked every second; the server stops when it says no.

        Raises:
            TurboPortraitError: bad_address, insecure_address.
        """
        self._pipeline = pipeline
        self._still_wanted = still_wanted
        self._started = time.monotonic()
        self._peers: dict[bytes, _Peer] = {}
        self._held_back: set[bytes] = set()
        self._running = True
        self.context = zmq.Context()
        try:
            self._door = Door(self.context, address, keys_folder, session)
        except TurboPortraitError:
            self.context.term()
            raise
        self.endpoint = self._door.endpoint
        self._outlet = self.context.socket(zmq.PULL)
        self._outlet.setsockopt(zmq.RCVHWM, 0)
        self._outlet.bind(_OUTLET)
        self._scheduler = Scheduler()
        self._worker = RequestWorker(pipeline, self._scheduler, self.context, _OUTLET)

    def run(self) -> None:
        """Serve until `stop`, a shutdown request, or until no longer wanted."""
        self._worker.start()
        poller = zmq.Poller()
        for socket in (*self._door.sockets, self._outlet):
            poller.register(socket, zmq.POLLIN)
        beat = time.monotonic()
        while self._running:
            pause = max(0.0, beat - time.monotonic())
            ready = dict(poller.poll(round(1000 * (min(pause, _RETRY_SECONDS) if self._held_back else pause))))
            self._door.attend()
            if self._outlet in ready:
                self._pass_on()
            if self._door.router in ready:
                self._receive()
            self._retry()
            if time.monotonic() >= beat:
                beat = time.monotonic() + limits.HEARTBEAT_SECONDS
                self._beat()

    def stop(self) -> None:
        """Let `run` return; from any thread."""
        with self.context.socket(zmq.PUSH) as bell:
            bell.connect(_OUTLET)
            bell.send(_STOP)

    def close(self, timeout: float | None = None) -> bool:
        """Wait for the worker and free the sockets; False if the worker is still at work after `timeout` seconds."""
        self._scheduler.close()
        if self._worker.ident:
            self._worker.join(timeout)
            if self._worker.is_alive():
                return False
        else:
            self._worker.discard()
        self._outlet.close(linger=0)
        self._door.close()
        self.context.term()
        return True

    # From clients

    def _receive(self) -> None:
        for _ in range(MESSAGES_IN_FLIGHT):  # Then the replies have their turn.
            try:
                client, key, frames = self._door.receive()
            except zmq.Again:
                return
            if self._door.allows(key):
                self._handle(client, key, frames)

    def _handle(self, client: bytes, key: str, frames: list[zmq.Frame]) -> None:
        try:
            request = decode_request(frames)
            self._know(client, key)
            check_request(request)
            self._answer(client, request)
        except TurboPortraitError as error:
            self._send(client, error_reply(request_id(frames), error))
        except Exception:
            log.exception("a message could not be handled")
            self._send(client, error_reply(request_id(frames), TurboPortraitError("internal")))

    def _know(self, client: bytes, key: str) -> None:
        if client not in self._peers:
            if len(self._peers) >= limits.MAX_CLIENTS:
                raise TurboPortraitError("too_many_requests", f"{limits.MAX_CLIENTS} clients are connected")
            self._peers[client] = _Peer(key, Outbox(self._door.router, client))

    def _answer(self, client: bytes, request: Request | Heartbeat) -> None:
        match request:
            case Heartbeat():
                return
            case Register() | Render() | GetMesh():
                self._queue(client, request)
                return
            case Hello():
                self._peers[client].name = request.client
                log.info("%s connected", request.client or "a client")
                self._send(client, self._hello(request.id))
            case Status():
                self._send(client, self._status(request.id))
            case Cancel():
                if job := self._scheduler.cancel(client, request.target):
                    self._send(client, error_reply(job.request.id, TurboPortraitError("cancelled")))
            case Forget():
                self._pipeline.forget(request.avatar)
            case Shutdown():
                log.info("asked to shut down")
                self._running = False
        self._send(client, Done(id=request.id))

    def _queue(self, client: bytes, request: Register | Render | GetMesh) -> None:
        # Accepted goes first: the worker's own replies pass through this thread later.
        stale = self._scheduler.submit(QueuedRequest(client, request))
        self._send(client, Accepted(id=request.id))
        for job in stale:
            self._send(client, error_reply(job.request.id, TurboPortraitError("superseded")))

    def _hello(self, request_id: int) -> HelloReply:
        return HelloReply(
            id=request_id,
            protocol_version=VERSION,
            software_version=importlib.metadata.version("turboportrait3d"),
            session=self.endpoint.session,
            pid=os.getpid(),
            capabilities=self._pipeline.capabilities(),
        )

    def _status(self, request_id: int) -> StatusReply:
        return StatusReply(
            id=request_id,
            uptime=time.monotonic() - self._started,
            pid=os.getpid(),
            device=self._pipeline.device,
            clients=len(self._peers),
            queued=self._scheduler.waiting,
            running=self._worker.stage,
            avatars=tuple(self._pipeline.store.ids),
            avatar_bytes=self._pipeline.store.nbytes,
            resident_bytes=psutil.Process().memory_info().rss,
        )

    # To clients

    def _pass_on(self) -> None:
        with contextlib.suppress(zmq.Again):
            while True:
                frames = self._outlet.recv_multipart(zmq.DONTWAIT, copy=False)
                if frames[0].bytes == _STOP:
                    self._running = False
                    return
                if frames[0].bytes in self._peers:
                    self._send_frames(frames[0].bytes, frames[1:])

    def _send(self, client: bytes, message: Message) -> None:
        self._send_frames(client, encode(message))

    def _send_frames(self, client: bytes, frames: list) -> None:
        peer = self._peers.get(client)
        try:
            if peer is None:  # It is not counted as a client; what it loses is the reason why.
                self._door.router.send_multipart([client, *frames], zmq.DONTWAIT, copy=False)
                return
            peer.outbox.send(frames)
        except zmq.ZMQError:
            self._drop(client)
            return
        self._balance(client, peer)

    def _balance(self, client: bytes, peer: _Peer) -> None:
        """Begin nothing more for a client that takes its replies in too slowly."""
        owed = peer.outbox.owed
        if len(peer.outbox) > _MAX_OUTBOX:
            self._drop(client)
            return
        too_much = owed > limits.MAX_OWED_BYTES or (owed and self._owed > limits.MAX_OWED_BYTES_TO_ALL)
        if (too_much or len(peer.outbox) > 0) != (client in self._held_back):
            (self._held_back.discard if client in self._held_back else self._held_back.add)(client)
            self._scheduler.pause(client, client in self._held_back)

    @property
    def _owed(self) -> int:
        return sum(peer.outbox.owed for peer in self._peers.values())

    def _retry(self) -> None:
        for client in list(self._held_back):
            peer = self._peers[client]
            try:
                peer.outbox.flush()
            except zmq.ZMQError:
                self._drop(client)
            else:
                self._balance(client, peer)

    def _beat(self) -> None:
        self._door.check()
        for client, peer in list(self._peers.items()):
            if not self._door.allows(peer.key):
                self._drop(client)
            elif client not in self._held_back:
                self._send(client, Heartbeat(session=self.endpoint.session))
        if not self._still_wanted():
            log.info("the process that started this backend is gone")
            self._running = False

    def _drop(self, client: bytes) -> None:
        peer = self._peers.pop(client, None)
        self._held_back.discard(client)
        if peer:
            log.info("%s is gone", peer.name or "a client")
        self._scheduler.drop(client)
