"""Face-capture takes of other programs as performances: which program's it is, and what all of them need."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from backend.protocol import face_landmarker, limits, live_link_face
from backend.protocol.errors import TurboPortraitError
from backend.protocol.performance import Performance
from backend.protocol.reading import read_bounded

READERS = {".csv": live_link_face.read, ".json": face_landmarker.read}


def is_take(path: str | Path) -> bool:
    """Whether a file is a performance or a take, by its suffix, and no video."""
    return Path(path).suffix.lower() in (".jsonl", *READERS)


def read_performance(path: str | Path, rate: Fraction | None = None) -> Performance:
    """A performance or a take, by the file's suffix: .jsonl is ours, .csv Live Link Face's, .json MediaPipe's.

    Args:
        path: of the file.
        rate: frames per second where a take does not say them itself.

    Raises:
        TurboPortraitError: bad_performance or bad_take, with the place.
    """
    path = Path(path)
    if path.suffix.lower() == ".jsonl":
        return Performance.load(path)
    if path.suffix.lower() not in READERS:
        known = ", ".join((".jsonl", *READERS))
        raise TurboPortraitError("bad_take", f"{path.name}: takes end in {known}")
    try:
        text = read_bounded(path, limits.MAX_PERFORMANCE_BYTES).decode("utf-8-sig")
        return READERS[path.suffix.lower()](text, path.name, rate)
    except OSError as error:
        raise TurboPortraitError("bad_take", f"{path.name}: {error.strerror or error}") from error
    except ValueError as error:
        raise TurboPortraitError("bad_take", f"{path.name}: {error}"[:300]) from error
