"""Real servers: in a thread of the test's process, or a process of their own."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "pipeline"))

from backend.client import BackendProcess, Client, Endpoint
from backend.pipeline import Pipeline
from backend.server import Server

LITTLE_BACKEND = Path(__file__).parent.parent / "pipeline" / "little_backend.py"


@pytest.fixture
def serve():
    """serve(pipeline, **options) -> a running Server in this process."""
    running = []

    def start(pipeline: Pipeline, **options) -> Server:
        server = Server(pipeline, **options)
        thread = threading.Thread(target=server.run)
        thread.start()
        running.append((server, thread))
        return server

    yield start
    for server, thread in running:
        if thread.is_alive():
            server.stop()
            thread.join()
        server.close()


@pytest.fixture
def connect():
    """connect(endpoint, ...) -> a Client that has had its hello."""
    clients = []

    def make(endpoint: Endpoint) -> Client:
        client = Client(endpoint)
        clients.append(client)
        client.connect()
        return client

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def spawn(tmp_path, monkeypatch):
    """spawn() -> a BackendProcess of little heads; the user's own state folder stays untouched."""
    monkeypatch.setenv("TURBOPORTRAIT_STATE", str(tmp_path / "state"))
    started = []

    def start(*arguments: str, **options) -> BackendProcess:
        command = [sys.executable, str(LITTLE_BACKEND), *arguments]
        process = BackendProcess.start(command=command, log=tmp_path / "backend.log", **options)
        started.append(process)
        return process

    yield start
    for process in started:
        process.process.kill()
        process.process.wait()
