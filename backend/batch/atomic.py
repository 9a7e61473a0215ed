"""Files that a reader sees whole or not at all, also after a crash of the machine."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

PART = ".part"


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to; it takes its name when the block ends well, and is removed otherwise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix stays last: libraries go by it.
    part = path.with_name(f".{path.stem[:80]}.{uuid.uuid4().hex[:8]}{PART}{path.suffix}")
    try:
        yield part
        with open(part, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink()
        raise
    _sync_folder(path.parent)


def write_whole(path: Path, data: bytes) -> None:
    """Write bytes in one step."""
    with whole_file(path) as part:
        part.write_bytes(data)


def remove_parts(folders: set[Path]) -> int:
    """Remove what runs that were killed left half written; how many there were."""
    found = [part for folder in folders if folder.is_dir() for part in folder.glob(f".*{PART}.*")]
    for part in found:
        with contextlib.suppress(OSError):
            part.unlink()
    return len(found)


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
