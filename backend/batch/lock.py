"""One driver per job: a lock file that says who holds it, and that is recognised as stale when its holder is gone."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
import uuid
from pathlib import Path

import msgspec
import psutil

from backend.protocol.errors import TurboPortraitError

HEARTBEAT_SECONDS = 5.0
SILENT_SECONDS = 60.0
"""A holder on another machine that has not touched its lock for this long is gone."""


class Holder(msgspec.Struct, frozen=True):
    """Who holds a lock.

    Attributes:
        started: the process's start, seconds since 1970: process ids are used again, pairs of both are not.
        boot: the machine's start by its own count; processes don't outlive it.
    """

    pid: int
    started: float
    host: str
    boot: str
    token: str

    @classmethod
    def here(cls) -> Holder:
        """This process."""
        return cls(os.getpid(), psutil.Process().create_time(), socket.gethostname(), boot_id(), uuid.uuid4().hex)


class JobLock:
    """Held from `acquire` to `release`; a thread touches the file as long as it is held."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._holder: Holder | None = None
        self._ended = threading.Event()

    def acquire(self) -> str:
        """Take the lock; a sentence about the stale one that it replaced, if there was one.

        Raises:
            TurboPortraitError: job_locked, with who holds it.
        """
        stale = ""
        with _guard(self.path.with_suffix(".guard")):
            found = self._read()
            if found is not None:
                if reason := self._alive(found):
                    raise TurboPortraitError("job_locked", f"process {found.pid} on {found.host}, {reason}")
                stale = f"The run of process {found.pid} on {found.host} did not end properly; its lock is stale."
            self._holder = Holder.here()
            part = self.path.with_suffix(f".{self._holder.token}.part")
            part.write_bytes(msgspec.json.encode(self._holder))
            os.replace(part, self.path)
        threading.Thread(target=self._beat, name="lock heartbeat", daemon=True).start()
        return stale

    def release(self) -> None:
        """Give the lock back, if it is still this process's."""
        self._ended.set()
        with contextlib.suppress(OSError), _guard(self.path.with_suffix(".guard")):
            if self._holder is not None and self._read() == self._holder:
                self.path.unlink()
        self._holder = None

    def _read(self) -> Holder | None:
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=Holder)
        except FileNotFoundError:
            return None
        except msgspec.MsgspecError:
            # Written in one step, so damage is the disk's: nobody can be told from it.
            return Holder(0, 0.0, "", "", "")

    def _alive(self, holder: Holder) -> str:
        """Why its holder is taken to be alive; empty if it is gone."""
        if not holder.host:
            return ""
        if holder.host == socket.gethostname():
            if holder.boot != boot_id():
                return ""
            try:
                process = psutil.Process(holder.pid)
                same = abs(process.create_time() - holder.started) < 1.0
                # Killed, but its parent has not asked yet.
                ended = process.status() == psutil.STATUS_ZOMBIE
            except psutil.Error:
                return ""
            return "which is running" if same and not ended else ""
        silence = self._silence()
        return f"which was heard of {silence:.0f} seconds ago" if silence < SILENT_SECONDS else ""

    def _silence(self) -> float:
        """Seconds since the last heartbeat, by the clock of the file system, which both machines share."""
        probe = self.path.with_suffix(f".{uuid.uuid4().hex}.probe")
        probe.touch()
        try:
            return probe.stat().st_mtime - self.path.stat().st_mtime
        finally:
            probe.unlink()

    def _beat(self) -> None:
        while not self._ended.wait(HEARTBEAT_SECONDS):
            with contextlib.suppress(OSError):
                os.utime(self.path)


def boot_id() -> str:
    """What differs after each start of this machine."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return str(round(psutil.boot_time(), -1))


@contextlib.contextmanager
def _guard(path: Path):
    """Only one process at a time looks at a lock and replaces it; the system ends this with the process."""
    with open(path, "a+b") as file:
        if os.name == "posix":
            import fcntl

            deadline = time.monotonic() + SILENT_SECONDS
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise TurboPortraitError("job_locked", f"{path.name} is held") from None
                    time.sleep(0.05)
        yield
