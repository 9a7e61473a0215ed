"""The way to a backend: one that runs already, or one that is started from here and then Blender's own."""

from __future__ import annotations

import threading
import time
from urllib.parse import urlsplit

import bpy
from bpy.app.translations import pgettext_rpt as rpt_

from backend.client import BackendProcess, Client, Endpoint, TurboPortraitError, find_backend

from . import bundled, preferences
from .backend_log import log_path
from .tasks import Task

START_SECONDS = 60.0
LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1", "")

_process: BackendProcess | None = None
_process_lock = threading.Lock()


def connect(name: str, wanted: preferences.ConnectionSettings, start: bool | None = None) -> Task:
    """A task whose result is a client that has said hello, for the calling thread's use.

    It starts a backend if need be and allowed.

    Args:
        start: start a backend if none runs; by default as the preferences say.

    Raises:
        TurboPortraitError: backend_unreachable, backend_not_started, protocol_version, bad_address.
    """
    may_start = wanted.start_automatically if start is None else start
    if wanted.address:
        _require_online_access(wanted.address)
        return (yield from _greeting(Client(Endpoint.at(wanted.address, wanted.keys), name)))
    if _process is not None:
        # A child that died stays in the process table, and looks alive, until it is asked.
        _process.process.poll()
    found = find_backend()
    if found is not None:
        try:
            return (yield from _greeting(Client(found, name)))
        except TurboPortraitError as error:
            # What it left behind outlived it.
            if error.code != "backend_unreachable" or not may_start:
                raise
    started = yield from _starting(wanted, may_start)
    return (yield from _greeting(Client(started, name)))


def _greeting(client: Client) -> Task:
    try:
        while client.backend is None:
            yield "Connecting to the backend"
            client.poll()
            if client.lost:
                raise client.lost
    except BaseException:
        client.close()
        raise
    return client


def _starting(wanted: preferences.ConnectionSettings, allowed: bool) -> Task:
    global _process
    if not allowed:
        said = rpt_("it does not run, and the preferences say not to start it")
        raise TurboPortraitError("backend_unreachable", said)
    if wanted.command is None:
        raise TurboPortraitError("backend_not_started", hint="Choose the backend's Python in the preferences.")
    brought = bundled.is_packed() and wanted.command == bundled.command("serve")
    if brought:
        yield from bundled.unpacked()
    with _process_lock:
        if _process is None or not _process.running:
            log_path().parent.mkdir(parents=True, exist_ok=True)
            _process = BackendProcess.start(
                command=wanted.command,
                log=log_path(),
                arguments=wanted.arguments,
                environment=wanted.environment,
                low_priority=True,
            )
        process = _process
    deadline = time.monotonic() + START_SECONDS
    while (endpoint := _endpoint(process, brought)) is None:
        if time.monotonic() > deadline:
            waited = rpt_("no answer in {seconds:g} seconds").format(seconds=START_SECONDS)
            raise TurboPortraitError("backend_not_started", waited)
        yield "Starting the backend"
    return endpoint


def _endpoint(process: BackendProcess, brought: bool) -> Endpoint | None:
    """Where it listens; raises with what the user can do where it came in the zip and ended by itself."""
    try:
        return process.endpoint
    except TurboPortraitError as error:
        raise bundled.explained(error, process) if brought else error from None


def can_reach(wanted: preferences.ConnectionSettings) -> bool:
    """A backend runs, can be started from here, or is named by its address."""
    return bool(wanted.address) or wanted.command is not None or find_backend() is not None


def _require_online_access(address: str) -> None:
    host = urlsplit(address).hostname or ""
    if host not in LOCAL_HOSTS and not bpy.app.online_access:
        raise TurboPortraitError(
            "backend_unreachable",
            sentence="Blender may not use the network.",
            hint="Allow online access in Blender's system preferences, or empty the address in the add-on's.",
        )


def own_process() -> BackendProcess | None:
    """The backend that was started from here, alive or dead."""
    return _process


def end_own_process() -> None:
    """Have it go, without waiting."""
    global _process
    if _process is not None and _process.running:
        _process.process.terminate()
    _process = None
