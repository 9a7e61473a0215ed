"""Photos as files."""

from __future__ import annotations

import errno
from pathlib import Path

from backend.protocol.errors import TurboPortraitError
from backend.protocol.limits import MAX_PHOTO_BYTES
from backend.protocol.reading import read_bounded

SUFFIXES = {".avif", ".gif", ".heic", ".jfif", ".jp2", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}


def find_photos(folder: Path) -> dict[str, Path]:
    """All photos below a folder by names that are unique: `male/2.jpg` is male_2."""
    paths = [path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES]
    return {"_".join(path.relative_to(folder).with_suffix("").parts): path for path in sorted(paths)}


def read_photo(path: str | Path) -> bytes:
    """The bytes of a picture file.

    Raises:
        TurboPortraitError: not_an_image: it is missing, no ordinary file, or cannot be read; image_too_large.
    """
    try:
        return read_bounded(path, MAX_PHOTO_BYTES)
    except OSError as error:
        code = "image_too_large" if error.errno == errno.EFBIG else "not_an_image"
        raise TurboPortraitError(code, f"{path}: {error.strerror}"[:300]) from error
