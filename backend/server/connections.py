"""The router's connections: newcomers must speak soon, nobody sends without end, and whoever may not is cut off.

libzmq collects a message of endless parts without a limit, and waits for newcomers as long as there are files to be
opened. So each connection is held here by a second handle, by which it can be ended.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import struct
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import zmq
from zmq.utils.monitor import recv_monitor_message

from backend.protocol import limits

log = logging.getLogger(__name__)
_FILES = 4096
"""Open files that are wanted: libzmq tells of at most 2,000 newcomers before it waits for us."""
_BYTES_RECEIVED = struct.Struct("128xQ")
"""Where Linux's `struct tcp_info` has tcpi_bytes_received."""


@dataclass(eq=False)
class _Connection:
    """`sender` is the public key, known when it has sent a message; `taken` bytes of its messages were taken in."""

    handle: socket.socket
    since: float = field(default_factory=time.monotonic)
    sender: str = ""
    taken: int = 0

    @property
    def untaken(self) -> int:
        """Bytes that libzmq holds for us: queued messages, and the parts of one that is not complete. 0 if unknown."""
        if sys.platform != "linux" or self.handle.family == socket.AF_UNIX:
            return 0
        with contextlib.suppress(OSError):
            info = self.handle.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _BYTES_RECEIVED.size)
            if len(info) == _BYTES_RECEIVED.size:
                return _BYTES_RECEIVED.unpack(info)[0] - self.taken
        return 0

    def end(self) -> None:
        """Close it for both sides; libzmq then frees what it holds."""
        with contextlib.suppress(OSError):
            self.handle.shutdown(socket.SHUT_RDWR)
        self.handle.close()


class Connections:
    """Follows a router's connections; used by the router's thread."""

    def __init__(self, router: zmq.Socket) -> None:
        _allow_files()
        self._router = router
        self._open: dict[int, _Connection] = {}
        self.events = router.get_monitor_socket(zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED)

    def follow(self) -> None:
        """Take in who came and went; the longest silent newcomers go where there are too many."""
        while True:
            try:
                event = recv_monitor_message(self.events, zmq.DONTWAIT)
            except zmq.Again:
                break
            self._forget(event["value"])
            if event["event"] == zmq.EVENT_ACCEPTED and (handle := _second_handle(event["value"])):
                self._open[event["value"]] = _Connection(handle)
        silent = [number for number, connection in self._open.items() if not connection.sender]
        for number in silent[: -limits.MAX_NEWCOMERS] + list(self._open)[limits.MAX_CONNECTIONS :]:
            self._end(number)  # Without a word in the log, or whoever floods us fills it.

    def sender(self, frames: Sequence[zmq.Frame]) -> str:
        """Whose message this is, by public key; counts it as taken in."""
        number, sender = frames[-1].get(zmq.SRCFD), str(frames[-1].get("User-Id"))
        if number not in self._open:
            self.follow()
        if connection := self._open.get(number):
            connection.sender = sender
            connection.taken += sum(map(_on_the_wire, frames[1:]))
        return sender

    def check(self, allowed: Callable[[str], bool]) -> None:
        """End the connections that say nothing, that send without end, or whose key is no longer allowed."""
        newest = time.monotonic() - limits.NEWCOMER_SECONDS
        for number, connection in list(self._open.items()):
            if not connection.sender and connection.since < newest:
                self._end(number)
            elif connection.sender and not allowed(connection.sender):
                log.info("a client is sent away: its key was revoked")
                self._end(number)
            elif connection.untaken > limits.MAX_UNTAKEN_BYTES:
                log.info("a client is sent away: it sends without end")
                self._end(number)

    def close(self) -> None:
        """Before the router itself is closed; nobody may come in any more."""
        self.follow()
        self._router.disable_monitor()
        self.events.close(linger=0)
        for number in list(self._open):
            self._forget(number)

    def _end(self, number: int) -> None:
        if connection := self._open.pop(number, None):
            connection.end()

    def _forget(self, number: int) -> None:
        if connection := self._open.pop(number, None):
            connection.handle.close()


def _second_handle(number: int) -> socket.socket | None:
    """Of a socket that libzmq has, by its number; None if it is closed already."""
    try:
        first = socket.socket(fileno=number)
    except OSError:
        return None
    try:
        first.setblocking(False)  # As it is; otherwise `dup` would make both wait.
        return first.dup()
    except OSError:
        return None
    finally:
        first.detach()


def _on_the_wire(frame: zmq.Frame) -> int:
    """Bytes of a frame as CURVE sends it (RFC 26, MESSAGE command)."""
    sealed = len(frame) + 33
    return sealed + (2 if sealed < 256 else 9)


def _allow_files() -> None:
    if sys.platform != "win32":
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            with contextlib.suppress(ValueError, OSError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
