"""Who may connect: by the public halves of CURVE keys, asked at every handshake and every message.

A handshake asks by ZeroMQ's authentication protocol (RFC 27). pyzmq's own answerer wants an event loop that Windows has
not, and reads a folder of keys once.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

import zmq
import zmq.auth
from zmq.utils import z85

log = logging.getLogger(__name__)


class Admission:
    """The key of this start of the backend, and those in a folder, which is read again whenever it has changed."""

    def __init__(self, context: zmq.Context, own: bytes, folder: Path | None) -> None:
        """Handshakes of the context's sockets wait from now on for `answer`."""
        self.requests = context.socket(zmq.REP)
        self.requests.linger = 0
        self.requests.bind("inproc://zeromq.zap.01")
        self._own = own
        self._folder = folder
        self._state: tuple = ()
        self._keys: frozenset[bytes] = frozenset()

    def allows(self, key: str | bytes) -> bool:
        """Whether a public key (Z85) may connect now."""
        key = key.encode() if isinstance(key, str) else key
        return key == self._own or key in self._in_folder()

    def answer(self) -> None:
        """Answer the handshakes that have asked."""
        while self.requests.poll(0):
            version, request, _domain, _address, _identity, mechanism, *credentials = self.requests.recv_multipart()
            key = z85.encode(credentials[0]) if mechanism == b"CURVE" else b""
            outcome = (b"200", b"welcome", key) if self.allows(key) else (b"400", b"no key that is known", b"")
            self.requests.send_multipart([version, request, *outcome, b""])

    def _in_folder(self) -> frozenset[bytes]:
        if self._folder is None:
            return frozenset()
        try:
            files = sorted((e.path, e.stat().st_mtime_ns, e.stat().st_ino) for e in os.scandir(self._folder))
        except OSError:
            files = []
        if tuple(files) != self._state:
            self._keys = frozenset(filter(None, (_public_key(path) for path, *_ in files if path.endswith(".key"))))
            self._state = tuple(files)
        return self._keys


def _public_key(path: str) -> bytes | None:
    try:
        return zmq.auth.load_certificate(path)[0]
    except (OSError, ValueError) as error:
        log.warning("%s lets nobody in: %s", path, error)
        return None
