"""Who may connect: by the public halves of CURVE keys, asked of at every handshake and every message."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import zmq.auth

log = logging.getLogger(__name__)


class Admission:
    """The key of this start of the backend, and those in a folder, which is read again whenever it has changed."""

    def __init__(self, own: bytes, folder: Path | None) -> None:
        self._own = own
        self._folder = folder
        self._state: tuple = ()
        self._keys: frozenset[bytes] = frozenset()

    def allows(self, key: str | bytes) -> bool:
        """Whether a public key (Z85) may connect now."""
        key = key.encode() if isinstance(key, str) else key
        return key == self._own or key in self._in_folder()

    def callback(self, domain: str, key: bytes) -> bool:
        """As `zmq.auth` asks."""
        return self.allows(key)

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
