"""The one way to write: a file or a folder is seen whole or not at all, also after a crash of the machine."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import re
import shutil
import stat
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from backend.protocol.errors import TurboPortraitError, storage_code

_PART = re.compile(r"\.[0-9a-f]{32}\.part")


@contextlib.contextmanager
def atomic_file(path: str | Path, parts: Path | None = None, mode: int = 0o666) -> Iterator[Path]:
    """An empty file to fill, which takes the place of `path` when the block ends well, and is gone otherwise.

    It has another suffix than `path`: libraries that go by it need the format said.

    Args:
        path: its folder is made.
        parts: the folder, on the same file system, in which the file lies until it is whole; by default that of `path`.
        mode: of the new file, less the umask.

    Raises:
        TurboPortraitError: disk_full, read_only, cannot_write; what was at `path` is still there.
    """
    path = Path(path)
    part = (parts or path.parent) / _part_name()
    with _writing(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))
            yield part
            commit(part, path)
        finally:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)


def write_file(path: str | Path, data: bytes | str, parts: Path | None = None, mode: int = 0o666) -> None:
    """Write bytes, or text as UTF-8; see `atomic_file`."""
    with atomic_file(path, parts, mode) as part:
        part.write_bytes(data.encode() if isinstance(data, str) else data)


def npz_bytes(**arrays: np.ndarray) -> bytes:
    """Arrays as a compressed .npz file: numpy itself prints a traceback where the disk is full."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def append_file(path: str | Path, data: bytes) -> None:
    """Put bytes at the end of a file, all of them or none; they are on the disk when this returns.

    Raises:
        TurboPortraitError: as `atomic_file`.
    """
    path = Path(path)
    with _writing(path), open_regular(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT) as file:
        end = file.seek(0, os.SEEK_END)
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[file.write(rest) :]
            os.fsync(file.fileno())
        except BaseException:
            file.truncate(end)
            raise


@contextlib.contextmanager
def atomic_folder(folder: str | Path) -> Iterator[Path]:
    """An empty folder to fill, which takes the place of `folder` when the block ends well, and is gone otherwise.

    What a writer that was killed left is removed by the next one of the same folder.

    Raises:
        TurboPortraitError: disk_full, read_only, cannot_write; what was at `folder` is still there.
    """
    folder = Path(folder)
    part, old = folder.with_name(f".{folder.name}.part"), folder.with_name(f".{folder.name}.old")
    with _writing(folder):
        try:
            discard(part)
            part.mkdir(parents=True)
            yield part
            for path in part.rglob("*"):
                _sync_names(path) if path.is_dir() else _sync(path)
            if os.path.lexists(folder):
                discard(old)
                os.replace(folder, old)
            try:
                os.replace(part, folder)
            except OSError:
                if os.path.lexists(old):
                    os.replace(old, folder)
                raise
            _sync_names(folder.parent)
            with contextlib.suppress(OSError):
                discard(old)
        finally:
            shutil.rmtree(part, ignore_errors=True)


def discard(path: Path) -> None:
    """Remove a file or folder if it is there; of a link only the link itself."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def open_regular(path: str | Path, flags: int = os.O_RDONLY) -> BinaryIO:
    """Open a file, unbuffered, that lies in a folder of a stranger: a link is not followed, a pipe not waited for.

    Args:
        flags: as of `os.open`.

    Raises:
        OSError: also where it is a link or no file.
    """
    safe = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags | safe, 0o666)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is no file", str(path))
        mode = {os.O_RDONLY: "rb", os.O_WRONLY: "wb", os.O_RDWR: "r+b"}[flags & (os.O_WRONLY | os.O_RDWR)]
        return cast(BinaryIO, os.fdopen(descriptor, mode, buffering=0))
    except BaseException:
        os.close(descriptor)
        raise


def commit(part: Path, path: Path) -> None:
    """Give a file that is written its name, after its content is on the disk."""
    _sync(part)
    os.replace(part, path)
    _sync_names(path.parent)


def remove_parts(folder: Path) -> int:
    """Remove what `atomic_file` left half written where it was killed; how many files there were."""
    # A link in place of the folder would lead to somebody else's files.
    if folder.is_symlink() or not folder.is_dir():
        return 0
    found = [path for path in folder.iterdir() if _PART.fullmatch(path.name) and path.is_file()]
    for path in found:
        with contextlib.suppress(OSError):
            path.unlink()
    return len(found)


def storage_error(error: BaseException, path: str | Path) -> TurboPortraitError:
    """What to say where `path` could not be written: disk_full, read_only, or cannot_write with the reason."""
    reason = getattr(error, "strerror", None) or str(error)
    return TurboPortraitError(storage_code(error) or "cannot_write", f"{path}: {reason}"[:300])


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except TurboPortraitError:
        raise
    except Exception as error:
        # Libraries that write by themselves have their own exceptions for a full disk.
        if isinstance(error, OSError) or storage_code(error):
            raise storage_error(error, path) from error
        raise


def _part_name() -> str:
    return f".{uuid.uuid4().hex}.part"


def _sync(path: Path) -> None:
    """See that what a file holds is on the disk."""
    # Windows does so only with what is open for writing.
    descriptor = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_names(folder: Path) -> None:
    """The same for a folder's list of names, where the system knows that; the file itself is in its place already."""
    if os.name == "posix":
        with contextlib.suppress(OSError):
            _sync(folder)
