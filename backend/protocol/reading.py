"""Read a file whose path or content is a stranger's."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path


def read_bounded(path: str | Path, most: int) -> bytes:
    """The bytes of an ordinary file.

    Args:
        path: of the file; links are followed.
        most: bytes that it may have.

    Raises:
        OSError: it is missing or cannot be read; it is a folder, pipe or device, which might never end; it has more
            bytes (its errno is EFBIG).
    """
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise OSError(errno.EINVAL, "it is no ordinary file", str(path))
    with open(path, "rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"it has more than {most / 2**20:.6g} MiB", str(path))
    return content
