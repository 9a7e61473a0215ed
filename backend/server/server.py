"""The router's thread: reads requests, answers what needs no computing, queues the rest, passes replies on."""

from __future__ import annotations

import contextlib
import importlib.metadata
import logging
import os
import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import zmq
from zmq.auth.thread import ThreadAuthenticator

from backend.client.keys import Keys
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
from backend.server.address import check_address
from backend.server.scheduler import Job, Scheduler
from backend.server.worker import Worker

log = logging.getLogger(__name__)
_OUTLET = "inproc://replies"
_STOP = b"stop"
_MAX_OUTBOX = 1024
"""Replies that are kept for a client that takes none in; after that it counts as gone."""
_MESSAGES_IN_FLIGHT = 64
_RETRY_SECONDS = 0.02
_DEAD_PEER_MS = int(limits.LIVENESS_SECONDS * 1000)


@dataclass
class _Peer:
    name: str = ""
    outbox: deque[list] = field(default_factory=deque)


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
            keys_folder: CURVE keys and who may connect (see `backend.client.keys`).
            session: tells this start of a backend from others.
            still_wanted: asked every second; the server stops when it says no.

        Raises:
            TurboPortraitError: bad_address, insecure_address.
        """
        keys = Keys.for_server(keys_folder) if keys_folder else None
        address = check_address(address, keys)
        self.session = session or secrets.token_hex(8)
        self._pipeline = pipeline
        self._still_wanted = still_wanted
        self._started = time.monotonic()
        self._peers: dict[bytes, _Peer] = {}
        self._held_back: set[bytes] = set()
        self._running = True
        self.context = zmq.Context()
        self._router = self.context.socket(zmq.ROUTER)
        self._router.setsockopt(zmq.LINGER, 500)
        self._router.setsockopt(zmq.ROUTER_MANDATORY, 1)  # Sending to a client that is gone is an error we can see.
        self._router.setsockopt(zmq.MAXMSGSIZE, limits.MAX_REQUEST_FRAME_BYTES)
        self._router.setsockopt(zmq.RCVHWM, _MESSAGES_IN_FLIGHT)
        self._router.setsockopt(zmq.SNDHWM, _MESSAGES_IN_FLIGHT)
        self._router.setsockopt(zmq.HEARTBEAT_IVL, _DEAD_PEER_MS // 3)
        self._router.setsockopt(zmq.HEARTBEAT_TIMEOUT, _DEAD_PEER_MS)
        self._authenticator = None
        if keys:
            self._authenticator = ThreadAuthenticator(self.context)
            self._authenticator.start()
            self._authenticator.configure_curve(domain="*", location=keys_folder / "clients")
            keys.apply_to_server(self._router)
        try:
            self._router.bind(address)
        except zmq.ZMQError as error:
            self._free_sockets()
            raise TurboPortraitError("bad_address", f"{address}: {error}") from error
        self.endpoint = self._router.getsockopt_string(zmq.LAST_ENDPOINT)
        self._outlet = self.context.socket(zmq.PULL)
        self._outlet.setsockopt(zmq.RCVHWM, 0)
        self._outlet.bind(_OUTLET)
        self._scheduler = Scheduler()
        self._worker = Worker(pipeline, self._scheduler, self.context, _OUTLET)

    def run(self) -> None:
        """Serve until `stop`, a shutdown request, or until no longer wanted."""
        self._worker.start()
        poller = zmq.Poller()
        poller.register(self._router, zmq.POLLIN)
        poller.register(self._outlet, zmq.POLLIN)
        beat = time.monotonic()
        while self._running:
            pause = max(0.0, beat - time.monotonic())
            ready = dict(poller.poll(1000 * (min(pause, _RETRY_SECONDS) if self._held_back else pause)))
            if self._outlet in ready:
                self._pass_on()
            if self._router in ready:
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
        self._free_sockets()
        return True

    def _free_sockets(self) -> None:
        if self._authenticator:
            self._authenticator.stop()
        self._router.close()
        self.context.term()

    # From clients

    def _receive(self) -> None:
        for _ in range(_MESSAGES_IN_FLIGHT):  # Then the replies have their turn.
            try:
                client, *frames = self._router.recv_multipart(zmq.DONTWAIT, copy=False)
            except zmq.Again:
                return
            self._handle(client.bytes, frames)

    def _handle(self, client: bytes, frames: list[zmq.Frame]) -> None:
        try:
            request = decode_request(frames)
            self._know(client)
            check_request(request)
            self._answer(client, request)
        except TurboPortraitError as error:
            self._send(client, error_reply(request_id(frames), error))
        except Exception:
            log.exception("a message could not be handled")
            self._send(client, error_reply(request_id(frames), TurboPortraitError("internal")))

    def _know(self, client: bytes) -> None:
        if client not in self._peers:
            if len(self._peers) >= limits.MAX_CLIENTS:
                raise TurboPortraitError("too_many_requests", f"{limits.MAX_CLIENTS} clients are connected")
            self._peers[client] = _Peer()

    def _answer(self, client: bytes, request: Request) -> None:
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
        stale = self._scheduler.submit(Job(client, request))
        self._send(client, Accepted(id=request.id))
        for job in stale:
            self._send(client, error_reply(job.request.id, TurboPortraitError("superseded")))

    def _hello(self, request_id: int) -> HelloReply:
        return HelloReply(
            id=request_id,
            protocol_version=VERSION,
            software_version=importlib.metadata.version("turboportrait3d"),
            session=self.session,
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
                self._send_frames(frames[0].bytes, frames[1:])

    def _send(self, client: bytes, message: Message) -> None:
        self._send_frames(client, encode(message))

    def _send_frames(self, client: bytes, frames: list) -> None:
        peer = self._peers.get(client)
        if peer and peer.outbox:
            peer.outbox.append(frames)
            if len(peer.outbox) > _MAX_OUTBOX:
                self._drop(client)
            return
        try:
            self._router.send_multipart([client, *frames], zmq.DONTWAIT, copy=False)
        except zmq.Again:
            if peer:  # It takes its replies in too slowly: keep them, and begin nothing more for it.
                peer.outbox.append(frames)
                self._held_back.add(client)
                self._scheduler.pause(client, True)
        except zmq.ZMQError:
            self._drop(client)

    def _retry(self) -> None:
        for client in list(self._held_back):
            peer = self._peers[client]
            waiting, peer.outbox = peer.outbox, deque()
            for frames in waiting:
                self._send_frames(client, frames)
            if not peer.outbox:
                self._held_back.discard(client)
                self._scheduler.pause(client, False)

    def _beat(self) -> None:
        for client in self._peers.keys() - self._held_back:
            self._send(client, Heartbeat(session=self.session))
        if not self._still_wanted():
            log.info("the process that started this backend is gone")
            self._running = False

    def _drop(self, client: bytes) -> None:
        peer = self._peers.pop(client, None)
        self._held_back.discard(client)
        if peer:
            log.info("%s is gone", peer.name or "a client")
        self._scheduler.drop(client)
