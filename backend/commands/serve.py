"""turboportrait serve: the render backend in the foreground."""

from __future__ import annotations

import logging
import os
import signal
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.logging import RichHandler

from backend.client.discovery import publish, withdraw
from backend.client.keys import make_keys
from backend.protocol.errors import TurboPortraitError

_LAST_SECONDS = 2.0
"""How long a computation may still take when the backend is told to stop."""


def serve(
    address: Annotated[
        str, typer.Option(help="Where to listen: tcp://HOST:PORT (* for any free port) or ipc://PATH.")
    ] = "tcp://127.0.0.1:*",
    device: Annotated[str, typer.Option(help="cpu, cuda, or auto for the GPU if there is one.")] = "auto",
    threads: Annotated[int, typer.Option(min=0, help="Threads for computing on the CPU; 0 for all.")] = 0,
    memory: Annotated[float, typer.Option(min=0.1, help="GiB of avatars to hold.")] = 2.0,
    keys: Annotated[Path | None, typer.Option(help="Folder of keys, needed to listen beyond this machine.")] = None,
    make_keys_in: Annotated[
        Path | None, typer.Option("--make-keys", help="Make keys in this folder, and do nothing else.")
    ] = None,
    endpoint_file: Annotated[
        Path | None, typer.Option(help="File that says where the backend listens; by default where hosts look.")
    ] = None,
    session: Annotated[str, typer.Option(hidden=True)] = "",
    parent: Annotated[int, typer.Option(hidden=True, help="End when the process of this id ends.")] = 0,
) -> None:
    """Start the render backend and print where it listens. It runs until interrupted."""
    if make_keys_in:
        make_keys(make_keys_in)
        typer.echo(f"Keys are in {make_keys_in}. Give client.key_secret and server.key to the machine that connects.")
        return
    logging.basicConfig(
        level=logging.INFO, format="%(message)s", handlers=[RichHandler(console=Console(stderr=True), show_path=False)]
    )
    # Read when torch and numba are loaded, below. Idle threads sleep: spinning ones take the cores from Blender, and
    # from each other (two refined views: 0.4 s instead of 1 to 6 s on two cores with another process at work).
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if threads:
        os.environ["OMP_NUM_THREADS"] = os.environ["NUMBA_NUM_THREADS"] = str(threads)
    from backend.pipeline import Pipeline

    run(Pipeline(device=device, max_avatar_bytes=int(memory * 2**30)), address, keys, endpoint_file, session, parent)


def run(pipeline, address: str, keys: Path | None, endpoint_file: Path | None, session: str, parent: int) -> None:
    """Serve a pipeline until a signal, a shutdown request, or the end of the process `parent` (0 for none)."""
    import psutil

    from backend.server import Server

    try:
        server = Server(pipeline, address, keys, session, lambda: not parent or psutil.pid_exists(parent))
    except TurboPortraitError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from error
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: server.stop())
    try:
        path = publish(server.endpoint, endpoint_file)
        typer.echo(server.endpoint.address)
        try:
            server.run()
        finally:
            withdraw(server.endpoint.session, path)
    finally:
        if not server.close(_LAST_SECONDS):
            os._exit(0)  # A computation that does not end must not keep the process.
