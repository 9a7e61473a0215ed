"""CURVE keys: what a backend and its clients need to talk.

Each start of a backend makes a pair for its own user, which clients find with its address (see `discovery`). Others,
over a network, need a folder of keys, made by `make_keys` (files in ZeroMQ's own certificate format):
    server.key_secret   the backend's pair; stays on the backend's machine
    server.key          its public half; clients have a copy
    client.key_secret   a client's pair; the client has it
    clients/*.key       public halves of the clients that may connect
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import zmq
import zmq.auth
from msgspec import Meta

from backend.protocol.errors import TurboPortraitError

Key = Annotated[bytes, Meta(min_length=40, max_length=40)]


@dataclass(frozen=True)
class Keys:
    """Our own pair, and for a client the backend's public key (all Z85 bytes)."""

    public: Key
    secret: Key = field(repr=False)
    server: Key | None = None

    @classmethod
    def new(cls, server: bytes | None = None) -> Keys:
        """A pair that nobody has yet; `server` is the public key of the backend that it is for."""
        return cls(*zmq.curve_keypair(), server)

    @classmethod
    def for_client(cls, folder: Path | str) -> Keys:
        """Read client.key_secret and server.key from a folder.

        Raises:
            TurboPortraitError: insecure_address, where the files are missing or no keys.
        """
        folder = Path(folder)
        public, secret = _load_pair(folder / "client.key_secret")
        return cls(public, secret, _load(folder / "server.key")[0])

    @classmethod
    def for_server(cls, folder: Path | str) -> Keys:
        """Read server.key_secret from a folder; raises as `for_client`."""
        return cls(*_load_pair(Path(folder) / "server.key_secret"))

    def apply_to_client(self, socket: zmq.Socket) -> None:
        """Make a socket a CURVE client, before it connects."""
        socket.curve_publickey, socket.curve_secretkey, socket.curve_serverkey = self.public, self.secret, self.server

    def apply_to_server(self, socket: zmq.Socket) -> None:
        """Make a socket a CURVE server, before it binds."""
        socket.curve_publickey, socket.curve_secretkey, socket.curve_server = self.public, self.secret, True


def make_keys(folder: Path | str) -> None:
    """Make a backend's pair and one client's, and let that client in. Existing pairs stay.

    Raises:
        FileExistsError: the folder has keys already.
    """
    folder = Path(folder)
    if (folder / "server.key_secret").exists():
        raise FileExistsError(f"{folder} has keys already")
    (folder / "clients").mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    for name in ("server", "client"):
        zmq.auth.create_certificates(folder, name)
        (folder / f"{name}.key_secret").chmod(0o600)
    shutil.copy(folder / "client.key", folder / "clients" / "client.key")


def _load_pair(path: Path) -> tuple[bytes, bytes]:
    public, secret = _load(path)
    if secret is None:
        raise TurboPortraitError("insecure_address", f"{path} has no secret key")
    return public, secret


def _load(path: Path) -> tuple[bytes, bytes | None]:
    """The public key of a certificate, and the secret one where it has it."""
    try:
        return zmq.auth.load_certificate(path)
    except (OSError, ValueError) as error:
        raise TurboPortraitError("insecure_address", f"no keys in {path}: {error}") from error
