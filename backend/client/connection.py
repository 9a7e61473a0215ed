"""The socket to a backend: sends and receives messages, beats, and knows when the backend is gone."""

from __future__ import annotations

import contextlib
import time

import zmq
from zmq.utils.monitor import recv_monitor_message

from backend.client.discovery import Endpoint
from backend.protocol import limits
from backend.protocol.codec import decode_reply, encode
from backend.protocol.errors import BackendLost, BackendUnreachable, TurboPortraitError
from backend.protocol.messages import Heartbeat, Message, Reply

CONNECT_SECONDS = 10.0
_REFUSED = zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL


class Connection:
    """A DEALER socket for the life of one backend; `lost` says why it is of no more use."""

    def __init__(self, endpoint: Endpoint) -> None:
        """Begin to connect.

        Raises:
            TurboPortraitError: bad_address.
        """
        self.endpoint = endpoint.address
        self.lost: TurboPortraitError | None = None
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.MAXMSGSIZE, limits.MAX_REPLY_FRAME_BYTES)
        self._monitor = self._socket.get_monitor_socket(zmq.EVENT_DISCONNECTED | _REFUSED)
        self._poller = zmq.Poller()
        self._poller.register(self._socket, zmq.POLLIN)
        self._poller.register(self._monitor, zmq.POLLIN)
        try:
            if endpoint.keys:
                endpoint.keys.apply_to_client(self._socket)
            self._socket.connect(endpoint.address)
        except zmq.ZMQError as error:
            self.close()
            raise TurboPortraitError("bad_address", f"{endpoint.address}: {error}") from error
        self._answered = False
        self._created = self._heard = self._beaten = time.monotonic()

    def send(self, message: Message) -> None:
        """Send without waiting.

        Raises:
            TurboPortraitError: backend_unreachable, or why the connection is lost.
        """
        if self.lost:
            raise self.lost
        try:
            self._socket.send_multipart(encode(message), zmq.DONTWAIT, copy=False)
        except zmq.Again:
            raise BackendUnreachable(f"{self.endpoint} takes no more messages") from None

    def receive(self, wait: float = 0.0) -> list[Reply]:
        """What has arrived, waiting for the first of it for at most `wait` seconds; sets `lost` if it is so."""
        replies: list[Reply] = []
        if self.lost:
            return replies
        if wait:
            self._poller.poll(round(wait * 1000))
        # The order matters: what a dying backend sent before the connection broke is still taken in.
        broken = self._broken()
        with contextlib.suppress(zmq.Again):
            while not self.lost:
                self._take(self._socket.recv_multipart(zmq.DONTWAIT, copy=False), replies)
        self.lost = self.lost or broken or self._judge_silence()
        self._beat()
        return replies

    def close(self) -> None:
        """Give the sockets back."""
        self.lost = self.lost or BackendLost("this client was closed")
        if not self._context.closed:
            self._socket.disable_monitor()
            self._monitor.close(linger=0)
            self._socket.close(linger=0)
            self._context.term()

    def _take(self, frames: list[zmq.Frame], replies: list[Reply]) -> None:
        try:
            reply = decode_reply(frames)
        except TurboPortraitError as error:
            self.lost = error
            return
        self._heard, self._answered = time.monotonic(), True
        if not isinstance(reply, Heartbeat):
            replies.append(reply)

    def _broken(self) -> TurboPortraitError | None:
        broken: TurboPortraitError | None = None
        while self._monitor.poll(0):
            if recv_monitor_message(self._monitor)["event"] & _REFUSED:
                broken = BackendUnreachable("it refused our keys, or asks for some")
            elif self._answered:  # Else ZeroMQ tries again: a busy backend may have sent us away.
                broken = broken or BackendLost()
        return broken

    def _judge_silence(self) -> TurboPortraitError | None:
        now = time.monotonic()
        if not self._answered:
            return BackendUnreachable(self.endpoint) if now - self._created > CONNECT_SECONDS else None
        silent = now - self._heard > limits.LIVENESS_SECONDS
        return BackendLost(f"silent for {limits.LIVENESS_SECONDS:g} seconds") if silent else None

    def _beat(self) -> None:
        if self.lost or time.monotonic() - self._beaten < limits.HEARTBEAT_SECONDS:
            return
        self._beaten = time.monotonic()
        with contextlib.suppress(TurboPortraitError):
            self.send(Heartbeat())
