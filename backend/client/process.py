"""The backend as a process of its own, started and ended by a host."""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from backend.client import discovery
from backend.client.client import Client
from backend.client.discovery import Endpoint
from backend.client.isolation import isolated, python_module
from backend.protocol.errors import TurboPortraitError

_START_SECONDS = 60.0
_TICK = 0.05
_NICE = 5
_BELOW_NORMAL_PRIORITY_CLASS = 0x00004000


class BackendProcess:
    """A backend that this process started. It ends with this process unless it was asked to stay."""

    def __init__(self, process: subprocess.Popen, session: str, endpoint_path: Path, log: Path | None) -> None:
        self.process = process
        self.session = session
        self.log = log
        self._endpoint_path = endpoint_path

    @classmethod
    def start(
        cls,
        python: str | Path = sys.executable,
        *,
        address: str = "tcp://127.0.0.1:*",
        log: str | Path | None = None,
        endpoint_path: Path | None = None,
        stay: bool = False,
        arguments: Sequence[str] = (),
        command: Sequence[str] | None = None,
        environment: Mapping[str, str] | None = None,
        low_priority: bool = False,
    ) -> BackendProcess:
        """Start a backend; returns at once (see `endpoint` and `wait_ready`).

        Args:
            python: the Python that has the backend's packages.
            address: where to listen.
            log: file for the backend's output, none to drop it.
            endpoint_path: where it shall say how to reach it, by default where `find_backend` looks.
            stay: go on when this process ends.
            arguments: further options of `turboportrait serve`.
            command: in place of the one that has `python` serve.
            environment: variables besides this process's own.
            low_priority: leave the processor to the host, whose window must stay fluent, where both want it.

        Raises:
            TurboPortraitError: backend_not_started, where there is no such Python.
        """
        session = secrets.token_hex(8)
        endpoint_path = Path(endpoint_path or discovery.endpoint_file()).absolute()
        full = [*(command or (*python_module("backend.commands", python), "serve")), "--address", address]
        full += ["--session", session]
        full += ["--endpoint-file", str(endpoint_path)] + ([] if stay else ["--parent", str(os.getpid())])
        try:
            with open(log, "ab") if log else contextlib.nullcontext(subprocess.DEVNULL) as output:
                process = subprocess.Popen(
                    **isolated([*full, *arguments], environment),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    **own_group(low_priority),
                )
        except OSError as error:
            raise TurboPortraitError("backend_not_started", str(error)) from error
        if low_priority:
            lower_priority(process.pid)
        return cls(process, session, endpoint_path, Path(log) if log else None)

    @property
    def running(self) -> bool:
        """The process lives."""
        return self.process.poll() is None

    @property
    def endpoint(self) -> Endpoint | None:
        """Where it listens, None while it is still starting; never waits.

        Raises:
            TurboPortraitError: backend_not_started, with the end of its log.
        """
        if not self.running:
            raise TurboPortraitError("backend_not_started", self._last_words())
        found = discovery.read(self._endpoint_path)
        return found if found and found.session == self.session else None

    def wait_ready(self, timeout: float = _START_SECONDS) -> Endpoint:
        """Wait until it listens; raises as `endpoint`, or timeout."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if endpoint := self.endpoint:
                return endpoint
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(_TICK)
        raise TurboPortraitError("timeout", "while starting the backend")

    def stop(self, timeout: float = 5.0) -> None:
        """End it: by a message, else by a signal, else by force. Waits for its end."""
        with contextlib.suppress(TurboPortraitError):
            if endpoint := self.endpoint:
                with Client(endpoint, name="stop") as client:
                    client.shutdown(timeout)
        for end in (lambda: None, self.process.terminate, self.process.kill):
            end()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout)
                break
        discovery.withdraw(self.session, self._endpoint_path)

    def _last_words(self) -> str:
        if not self.log or not self.log.exists():
            return f"exit status {self.process.returncode}"
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return f"exit status {self.process.returncode}: {' / '.join(lines[-3:])[-400:]}"


def own_group(low_priority: bool) -> dict[str, Any]:
    """Popen's arguments for a process apart from this one's console or session, which `lower_priority` needs."""
    if sys.platform == "win32":
        return {"creationflags": 0x08000200 | (_BELOW_NORMAL_PRIORITY_CLASS if low_priority else 0)}
    return {"start_new_session": True}


def lower_priority(pid: int) -> None:
    """Let a process that has just started, and its threads, be nice; one that is gone already is left alone. On Windows
    it was started so."""
    if sys.platform == "win32":
        return
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, os.getpriority(os.PRIO_PROCESS, 0) + _NICE)
        # Where Linux groups processes by their session (sched(7), autogroup), the backend's session is its own, and
        # niceness counts between sessions only by the group's.
        Path(f"/proc/{pid}/autogroup").write_text(str(_NICE))
