"""One run for a job: a file that the run keeps locked by the operating system, and that says who it is.

That lock ends with its process, however it ends, and nothing that is written in the file can pretend one: neither a
number of a process nor a time. Where it does not reach (other machines, on a network folder without locks) the file's
heartbeat is watched instead, and only one that moves is alive; what any clock says does not count.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import sys
import threading
import time
import uuid
from pathlib import Path
from typing import Annotated, BinaryIO

import msgspec

from backend.protocol.errors import TurboPortraitError
from backend.protocol.files import open_regular, storage_error, write_file

HEARTBEAT_SECONDS = 5.0
WATCH_SECONDS = 20.0
"""A run whose heartbeat has not moved for this long is gone."""
STOP = "stop"
"""The file beside the lock that asks a run to end."""
_TRIES, _PAUSE = 20, 0.05
"""Another program that only looks at a lock holds it for a moment."""
_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL)
_MOST_BYTES = 4096
_LOCKED_BYTE = 1 << 30
"""Windows locks ranges of bytes, against reading, too: one behind the end hinders nobody."""

Text = Annotated[str, msgspec.Meta(max_length=256)]


class Holder(msgspec.Struct, frozen=True):
    """Who holds a lock, for people to read; `token` differs for every run."""

    pid: int
    host: Text
    token: Text


class JobLock:
    """Held from `acquire` to `release`; a thread touches the file as long as it is held."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: BinaryIO | None = None
        self._token = ""
        self._ended = threading.Event()

    def acquire(self) -> str:
        """Take the lock; a sentence about the run that left it, if one did.

        Raises:
            TurboPortraitError: job_locked, with who holds it; disk_full, read_only, cannot_write.
        """
        try:
            file = open_regular(self.path, os.O_RDWR | os.O_CREAT)
        except OSError as error:
            raise storage_error(error, self.path) from error
        try:
            locked = _lock(file)
            found = _read(file)
            elsewhere = found is not None and (locked is None or found.host != socket.gethostname())
            if locked is False or (elsewhere and self._beats()):
                raise TurboPortraitError("job_locked", _name(found))
            self._write(file)
        except OSError as error:
            with contextlib.suppress(OSError), file:
                file.truncate(0)
            raise storage_error(error, self.path) from error
        except BaseException:
            file.close()
            raise
        self._file = file
        threading.Thread(target=self._beat, args=(file,), name="lock heartbeat", daemon=True).start()
        return f"The run of {_name(found)} did not end properly; its lock is stale." if found else ""

    def release(self) -> None:
        """Give the lock back."""
        self._ended.set()
        if self._file is not None:
            with contextlib.suppress(OSError), self._file as file:
                file.truncate(0)
            self._forget_stop()
        self._file = None

    def stop_requested(self) -> bool:
        """Whether somebody has asked this run to end; see `LockWatch.request_stop`."""
        try:
            with open_regular(self.path.with_name(STOP)) as file:
                return file.read(_MOST_BYTES) == self._token.encode()
        except OSError:
            return False

    def _write(self, file: BinaryIO) -> None:
        self._token = uuid.uuid4().hex
        self._forget_stop()
        file.truncate(0)
        file.seek(0)
        file.write(msgspec.json.encode(Holder(os.getpid(), socket.gethostname()[:256], self._token)))
        os.fsync(file.fileno())

    def _forget_stop(self) -> None:
        with contextlib.suppress(OSError):
            self.path.with_name(STOP).unlink()

    def _beats(self) -> bool:
        watch, deadline = LockWatch(self.path), time.monotonic() + WATCH_SECONDS
        while time.monotonic() < deadline:
            if watch.beats():
                return True
            self._ended.wait(WATCH_SECONDS / 100)
        return False

    def _beat(self, file: BinaryIO) -> None:
        while not self._ended.wait(HEARTBEAT_SECONDS):
            # Closed in between, or the disk is away for a moment.
            with contextlib.suppress(OSError, ValueError):
                os.utime(file.fileno() if os.utime in os.supports_fd else self.path)


class LockWatch:
    """A lock as another program sees it, who looks at it again and again and does not take it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stamp: int | None = None
        self._moved: float | None = None

    def running(self) -> bool:
        """Whether a run holds it. Of one on another machine that is known only after its next heartbeat."""
        try:
            with open_regular(self.path) as file:
                locked, found = _lock(file, tries=1), _read(file)
        except OSError:
            return False
        if locked is False:
            return True
        if found is None or (locked and found.host == socket.gethostname()):
            return False
        return self.beats()

    def beats(self) -> bool:
        """Whether the heartbeat has moved lately, between two looks of this object."""
        try:
            # Network file systems ask the server when a file is opened.
            with open_regular(self.path) as file:
                stamp = os.fstat(file.fileno()).st_mtime_ns
        except OSError:
            return False
        if self._stamp not in (None, stamp):
            self._moved = time.monotonic()
        self._stamp = stamp
        return self._moved is not None and time.monotonic() - self._moved < WATCH_SECONDS

    def request_stop(self) -> None:
        """Ask the run that holds the lock to end, on whatever machine: no signal is sent, no process is looked for.

        Raises:
            TurboPortraitError: as `atomic_file`.
        """
        with contextlib.suppress(OSError), open_regular(self.path) as file:
            if found := _read(file):
                write_file(self.path.with_name(STOP), found.token)


def _name(holder: Holder | None) -> str:
    return f"process {holder.pid} on {holder.host}" if holder else "an unknown process"


def _read(file: BinaryIO) -> Holder | None:
    """Who holds it; None where nobody does or where the file is damaged."""
    file.seek(0)
    try:
        return msgspec.json.decode(file.read(_MOST_BYTES), type=Holder)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _lock(file: BinaryIO, tries: int = _TRIES) -> bool | None:
    """Lock a file until it is closed: whether that was possible; None where the file system knows no locks."""
    for attempt in range(tries):
        if attempt:
            time.sleep(_PAUSE)
        try:
            _lock_now(file)
            return True
        except OSError as error:
            if error.errno in _NO_LOCKS:
                return None
    return False


if sys.platform != "win32":
    import fcntl

    def _lock_now(file: BinaryIO) -> None:
        # Who only reads shares: lookers do not see each other.
        kind = fcntl.LOCK_EX if file.writable() else fcntl.LOCK_SH
        fcntl.flock(file, kind | fcntl.LOCK_NB)

else:
    import msvcrt

    def _lock_now(file: BinaryIO) -> None:
        file.seek(_LOCKED_BYTE)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
