"""A client for a command: of the backend that runs, or of one that is started for the command's time."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from backend.client import BackendProcess, Client, Endpoint, TurboPortraitError, find_backend

BackendOption = Annotated[
    str,
    typer.Option("--backend", help="Address of a backend; by default the one that runs, else one that is started."),
]
KeysOption = Annotated[Path | None, typer.Option("--keys", help="Folder of keys, for a backend that asks for them.")]


@contextmanager
def backend_client(address: str = "", keys: Path | None = None) -> Iterator[Client]:
    """A connected client.

    Raises:
        TurboPortraitError: backend_unreachable, backend_not_started, protocol_version.
    """
    if address:
        with Client(Endpoint.at(address, keys), "command line") as client:
            client.connect()
            yield client
        return
    if running := _running_client():
        with running:
            yield running
        return
    with tempfile.TemporaryDirectory(prefix="turboportrait-") as name:
        folder = Path(name)
        process = BackendProcess.start(log=folder / "backend.log", endpoint_path=folder / "backend.json")
        try:
            with Client(process.wait_ready(), name="command line") as client:
                client.connect()
                yield client
        finally:
            process.stop()


def _running_client() -> Client | None:
    found = find_backend()
    if not found:
        return None
    client = Client(found, name="command line")
    try:
        client.connect(3.0)
    except TurboPortraitError:
        client.close()
        return None
    return client
