"""Where the backend may listen: on loopback freely, anywhere else only with keys of the user's."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

from backend.protocol.errors import TurboPortraitError

_TCP = re.compile(r"tcp://(?P<host>\[[0-9a-fA-F:.]+\]|[^:\[\]/]+):(?P<port>\d{1,5}|\*)")
_IPC_PATH_LIMIT = 100
"""Bytes; the system's limit on the path of a Unix socket is a little above it."""
BACKLOG = 1024
"""Connections that the system keeps until they are looked at; beyond that a newcomer tries again after a second."""


def check_address(address: str, has_keys: bool) -> str:
    """The address as ZeroMQ binds it.

    Raises:
        TurboPortraitError: bad_address; insecure_address where other machines could reach it and there are no keys.
    """
    if path := socket_path(address):
        if not hasattr(socket, "AF_UNIX") or path.name[:1] in ("", "@") or len(str(path).encode()) > _IPC_PATH_LIMIT:
            raise TurboPortraitError("bad_address", address)
        if not path.parent.is_dir():
            raise TurboPortraitError("bad_address", f"{address}: there is no such folder")
        return address
    match = _TCP.fullmatch(address)
    if not match or (match["port"] != "*" and not 0 < int(match["port"]) < 65536):
        raise TurboPortraitError("bad_address", address)
    host = "127.0.0.1" if match["host"] == "localhost" else match["host"]
    if not has_keys and not _is_loopback(host):
        raise TurboPortraitError("insecure_address", address)
    return f"tcp://{host}:{match['port']}"


def socket_path(address: str) -> Path | None:
    """Of an ipc:// address."""
    return Path(address.removeprefix("ipc://")) if address.startswith("ipc://") else None


def listening_socket(path: Path) -> socket.socket:
    """A Unix socket that only its user may connect to; libzmq itself would delete whatever lies at the path.

    Raises:
        TurboPortraitError: bad_address, where something lies there that is no dead socket of this user's.
    """
    listener = socket.socket(socket.AF_UNIX)
    try:
        with _locked(path.parent):
            _clear_dead_socket(path)
            listener.bind(str(path))
            path.chmod(0o600)
            listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise TurboPortraitError("bad_address", f"{path}: {error.strerror}") from error
    except TurboPortraitError:
        listener.close()
        raise
    return listener


def remove_socket(path: Path) -> None:
    """When its backend has ended; anything but a socket stays."""
    with contextlib.suppress(OSError):
        if stat.S_ISSOCK(path.lstat().st_mode):
            path.unlink()


def _clear_dead_socket(path: Path) -> None:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode) or found.st_uid != os.getuid():
        raise TurboPortraitError("bad_address", f"{path} exists already")
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise TurboPortraitError("bad_address", f"something listens at {path} already")


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """No two backends look at a folder's sockets at the same time."""
    import fcntl

    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False  # A name or an interface: it may be reachable.
