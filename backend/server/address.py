"""Where the backend may listen: on loopback freely, anywhere else only with keys."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path

from backend.client.keys import Keys
from backend.protocol.errors import TurboPortraitError

_TCP = re.compile(r"tcp://(?P<host>\[[0-9a-fA-F:.]+\]|[^:\[\]/]+):(?P<port>\d{1,5}|\*)")
_IPC_PATH_LIMIT = 100
"""Bytes; the system's limit on the path of a Unix socket is a little above it."""


def check_address(address: str, keys: Keys | None) -> str:
    """The address as ZeroMQ binds it.

    Raises:
        TurboPortraitError: bad_address; insecure_address where other machines could reach it and there are no keys.
    """
    if address.startswith("ipc://"):
        path = address.removeprefix("ipc://")
        if not path or path[0] == "@" or len(path.encode()) > _IPC_PATH_LIMIT or not Path(path).parent.is_dir():
            raise TurboPortraitError("bad_address", address)
        return address
    match = _TCP.fullmatch(address)
    if not match or (match["port"] != "*" and not 0 < int(match["port"]) < 65536):
        raise TurboPortraitError("bad_address", address)
    host = "127.0.0.1" if match["host"] == "localhost" else match["host"]
    if not keys and not _is_loopback(host):
        raise TurboPortraitError("insecure_address", address)
    return f"tcp://{host}:{match['port']}"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False  # A name or an interface: it may be reachable.
