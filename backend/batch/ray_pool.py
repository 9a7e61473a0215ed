"""Workers on Ray: actors that hold the models, on this machine or on a cluster; the dead ones are replaced."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import re
import secrets
import signal
import socket
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from backend.batch.checksums import installed
from backend.batch.work import Outcome, OutputRecord, Work, Worker, WorkerLost, WorkerSettings
from backend.client.discovery import state_folder
from backend.client.isolation import SAFE_PATH
from backend.protocol.errors import TurboPortraitError

QUEUED = 2
"""Works that a worker has at the same time: the one it does and the next, so that it never waits for the driver."""
OBJECT_STORE_BYTES = 128 << 20
WORKER_BYTES = 2 << 30
"""Memory that a worker may take, models included."""
MAX_LOCAL_WORKERS = 16
CONNECT_SECONDS = 5.0
_TOKEN_HINT = "Copy the token of the cluster's first machine there; docs/farm.md shows how a cluster gets one."


@dataclass(eq=False)
class _Actor:
    """One worker.

    Attributes:
        hello: Ray's reference of its first answer, None once that has come: until then it may still wait for a place.
        waiting: its works by Ray's references, the oldest first.
    """

    handle: Any
    hello: Any
    waiting: dict[Any, Work] = field(default_factory=dict)


class RayPool:
    """See `work.Pool`.

    Args:
        settings: what each worker is made with; its photos travel once, through Ray's object store.
        workers: how many; None for one per GPU of the cluster, or one per core where there is none.
        address: of a cluster; empty starts a local one that ends with this pool.
        expected: what every node must have, see `checksums.installed`.

    Raises:
        TurboPortraitError: no_ray.
    """

    def __init__(
        self, settings: WorkerSettings, workers: int | None, address: str = "", expected: dict[str, str] | None = None
    ) -> None:
        try:
            import ray
        except ImportError as error:
            raise TurboPortraitError("no_ray", str(error)) from error
        self._ray = ray
        self._owned = not ray.is_initialized()
        if self._owned:
            _connect(ray, address)
        resources = ray.cluster_resources()
        gpus, cores = int(resources.get("GPU", 0)), max(int(resources.get("CPU", 1)), 1)
        self._count = workers or (gpus or min(cores, MAX_LOCAL_WORKERS, _fitting()) if not address else gpus or cores)
        self._expected = expected or {}
        threads = settings.threads or max(1, cores // self._count)
        self._settings = ray.put(replace(settings, threads=threads))
        # Read by torch and numba when they are loaded. Idle threads sleep: spinning ones take the cores from others.
        variables = {
            "OMP_NUM_THREADS": str(threads),
            "NUMBA_NUM_THREADS": str(threads),
            "OMP_WAIT_POLICY": "PASSIVE",
            **SAFE_PATH,
        }
        # Fractions of cores and GPUs let several workers share one where more are asked for than there are.
        self._options = {
            "num_cpus": min(1.0, _floor(cores / self._count)),
            "num_gpus": min(1.0, _floor(gpus / self._count)),
            "max_restarts": 0,
            "max_task_retries": 0,
            "runtime_env": {"env_vars": variables},
        }
        self._remote: Any = ray.remote(RemoteWorker)
        self._actors = [self._start() for _ in range(self._count)]

    def room(self) -> int:
        return sum(QUEUED - len(actor.waiting) for actor in self._actors if actor.hello is None)

    def submit(self, work: Work) -> None:
        actor = min((a for a in self._actors if a.hello is None), key=lambda actor: len(actor.waiting))
        actor.waiting[actor.handle.do.remote(work)] = work

    def outcomes(self, seconds: float) -> list[Outcome]:
        owners = {reference: actor for actor in self._actors for reference in actor.waiting}
        owners |= {actor.hello: actor for actor in self._actors if actor.hello is not None}
        ready, _ = self._ray.wait(list(owners), num_returns=1, timeout=seconds)
        return [outcome for reference in ready for outcome in self._taken(owners[reference], reference)]

    def _taken(self, actor: _Actor, reference: Any) -> list[Outcome]:
        result: list[OutputRecord] | Exception
        try:
            result = self._ray.get(reference)
        except self._ray.exceptions.RayActorError as error:
            if "creation task" in str(error):
                # It never lived: the next one would not either.
                raise TurboPortraitError("no_ray", f"a worker cannot start: {_last_line(error)}") from error
            self._actors[self._actors.index(actor)] = self._start()
            return [(each, WorkerLost(_first_line(error))) for each in actor.waiting.values()]
        except self._ray.exceptions.RayTaskError as error:
            result = WorkerLost(_first_line(error))
        if reference is actor.hello:
            actor.hello = None
            if result:
                raise TurboPortraitError("node_differs", str(result))
            return []
        return [(actor.waiting.pop(reference), result)]

    def close(self) -> None:
        for actor in self._actors:
            with contextlib.suppress(Exception):
                self._ray.kill(actor.handle)
        self._actors = []
        if self._owned:
            self._ray.shutdown()

    def _start(self) -> _Actor:
        handle = self._remote.options(**self._options).remote(self._settings, self._expected)
        return _Actor(handle, handle.difference.remote())


class RemoteWorker:
    """A worker in a process of Ray's."""

    def __init__(self, settings: WorkerSettings, expected: dict[str, str]) -> None:
        import cv2

        cv2.setNumThreads(settings.threads)
        self._worker = Worker(settings)
        self._expected = expected

    def difference(self) -> str:
        """What this node has in another version than the driver; empty if nothing."""
        return _difference(self._expected)

    def do(self, work: Work) -> Any:
        """See `Worker.do`."""
        return self._worker.do(work)


def _difference(expected: dict[str, str]) -> str:
    presets = [name.removeprefix("refiner ") for name in expected if name.startswith("refiner ")]
    head_models = [name.removeprefix("head model ") for name in expected if name.startswith("head model ")]
    there = installed(presets, head_models)
    wrong = [name for name, value in expected.items() if there.get(name) != value]
    return f"{socket.gethostname()}: {', '.join(wrong)}" if wrong else ""


def _connect(ray: Any, address: str) -> None:
    # Ray's metrics agent and its reports home are of no use here.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    _find_token(local=not address)
    if address and address != "auto":
        _reach(address)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    options = {"include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES} if not address else {}
    try:
        # Ray puts the current folder on the path of every worker: it shall be ours.
        folder = state_folder()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.chdir(folder):
            ray.init(address=address or "local", log_to_driver=False, logging_level=logging.ERROR, **options)
    except (ConnectionError, ValueError, RuntimeError, OSError) as error:
        raise TurboPortraitError("no_ray", _first_line(error)) from error
    finally:
        # Ray would end the process where a signal asks to stop.
        if threading.current_thread() is threading.main_thread():
            for number, handler in handlers.items():
                signal.signal(number, handler)


def _find_token(local: bool) -> None:
    """Have Ray ask everybody for a token, that of this user or that of the cluster, or any local user could run code.

    Raises:
        TurboPortraitError: no_ray, where there is none of a cluster.
    """
    if os.environ.get("RAY_AUTH_MODE", "token") != "token" or os.environ.get("RAY_AUTH_TOKEN"):
        return
    path = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")
    if path.is_file():
        return
    if not local:
        raise TurboPortraitError("no_ray", f"the cluster's token is not in {path}", hint=_TOKEN_HINT)
    path = state_folder() / "ray_token"
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(32))
    os.environ["RAY_AUTH_TOKEN_PATH"] = str(path)


def _reach(address: str) -> None:
    """Ray itself would try for minutes."""
    parts = urlsplit(address if "://" in address else f"ray-gcs://{address}")
    try:
        socket.create_connection((parts.hostname, parts.port or 6379), CONNECT_SECONDS).close()
    except (OSError, ValueError) as error:
        raise TurboPortraitError("no_ray", f"nothing answers at {address[:100]}: {error}") from error


def _fitting() -> int:
    """Workers that this machine's free memory holds."""
    import psutil

    return max(psutil.virtual_memory().available // WORKER_BYTES, 1)


def _floor(share: float) -> float:
    """Ray counts in ten thousandths."""
    return math.floor(share * 10_000) / 10_000


def _first_line(error: BaseException) -> str:
    return next(iter(_lines(error)), type(error).__name__)


def _last_line(error: BaseException) -> str:
    return next(reversed(_lines(error)), type(error).__name__)


def _lines(error: BaseException) -> list[str]:
    """An error's lines without terminal colours, each cut to a length that can be shown."""
    lines = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).splitlines()
    return [line.strip()[:300] for line in lines if line.strip()]
