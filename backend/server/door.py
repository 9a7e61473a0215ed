"""The backend's door: the socket at which it listens, and who comes in there."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import zmq

from backend.client import Endpoint, Keys
from backend.protocol import limits
from backend.protocol.errors import TurboPortraitError
from backend.server.address import BACKLOG, check_address, listening_socket, remove_socket, socket_path
from backend.server.admission import Admission
from backend.server.connections import Connections

MESSAGES_IN_FLIGHT = 64
_DEAD_PEER_MS = int(limits.LIVENESS_SECONDS * 1000)


class Door:
    """A ROUTER that only those with a key reach.

    Attributes:
        endpoint: where it listens, with the keys made for this start, which only this user may read.
        router: the socket.
        sockets: those that have something to read when `attend` has something to do; the router is the first.
    """

    def __init__(self, context: zmq.Context, address: str, keys_folder: Path | None, session: str) -> None:
        """Bind; arguments as `Server`.

        Raises:
            TurboPortraitError: bad_address, insecure_address.
        """
        keys = Keys.for_server(keys_folder) if keys_folder else Keys.new()
        address = check_address(address, keys_folder is not None)
        own = Keys.new(server=keys.public)
        self._path = socket_path(address)
        listener = listening_socket(self._path) if self._path else None
        self._admission = Admission(context, own.public, keys_folder and keys_folder / "clients")
        self.router = _router(context)
        keys.apply_to_server(self.router)
        self._connections = Connections(self.router)
        self.sockets = (self.router, self._connections.events, self._admission.requests)
        if listener:
            self.router.setsockopt(zmq.USE_FD, listener.detach())
        try:
            self.router.bind(address)
        except zmq.ZMQError as error:
            self._close_sockets()
            taken = error.errno == zmq.EADDRINUSE
            why = "another program listens there already" if taken else str(error)
            raise TurboPortraitError("bad_address", f"{address}: {why}") from error
        bound = self.router.getsockopt_string(zmq.LAST_ENDPOINT)
        self.endpoint = Endpoint(bound, os.getpid(), session or secrets.token_hex(8), keys=own)

    def attend(self) -> None:
        """Let in who may come in, and follow who comes and goes; does not wait."""
        self._admission.answer()
        self._connections.follow()

    def allows(self, key: str) -> bool:
        """Whether a client of this public key may (still) be answered."""
        return self._admission.allows(key)

    def receive(self) -> tuple[bytes, str, list[zmq.Frame]]:
        """The next message: its client, the client's public key, its frames; does not wait.

        Raises:
            zmq.Again: there is none.
        """
        parts = self.router.recv_multipart(zmq.DONTWAIT, copy=False)
        return parts[0].bytes, self._connections.sender(parts), parts[1:]

    def check(self) -> None:
        """See `Connections.check`; to be called every second."""
        self._connections.check(self.allows)

    def close(self) -> None:
        """Let nobody in any more, and free the sockets."""
        self.router.unbind(self.endpoint.address)
        self._close_sockets()
        if self._path:
            remove_socket(self._path)

    def _close_sockets(self) -> None:
        self._connections.close()
        self._admission.requests.close()
        self.router.close()


def _router(context: zmq.Context) -> zmq.Socket:
    router = context.socket(zmq.ROUTER)
    router.setsockopt(zmq.LINGER, 500)
    router.setsockopt(zmq.ROUTER_MANDATORY, 1)  # Sending to a client that is gone is an error we can see.
    router.setsockopt(zmq.MAXMSGSIZE, limits.MAX_REQUEST_FRAME_BYTES)
    router.setsockopt(zmq.RCVHWM, MESSAGES_IN_FLIGHT)
    router.setsockopt(zmq.SNDHWM, MESSAGES_IN_FLIGHT)
    router.setsockopt(zmq.BACKLOG, BACKLOG)
    router.setsockopt(zmq.HANDSHAKE_IVL, int(limits.NEWCOMER_SECONDS * 1000))
    router.setsockopt(zmq.HEARTBEAT_IVL, _DEAD_PEER_MS // 3)
    router.setsockopt(zmq.HEARTBEAT_TIMEOUT, _DEAD_PEER_MS)
    return router
