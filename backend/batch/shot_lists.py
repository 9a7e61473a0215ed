"""Shot lists from files: CSV by our own reader, edits (OTIO, EDL, FCP XML, AAF) through OpenTimelineIO."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from backend.batch.shot_csv import read_csv
from backend.batch.shot_list import ShotList
from backend.protocol.limits import MAX_SHOTS
from backend.protocol.reading import read_bounded

MAX_FILE_BYTES = {".csv": 4 << 20, ".tsv": 4 << 20, ".edl": 4 << 20}
MAX_EDIT_BYTES = 32 << 20
"""Of a file of any other kind."""


def read_shot_list(path: Path, rate: Fraction | None = None) -> ShotList:
    """Read a shot list of any kind; what is wrong with it is in its `problems`, nothing is raised.

    Args:
        rate: for files that don't say theirs (EDL).
    """
    found = ShotList()
    try:
        data = read_bounded(path, MAX_FILE_BYTES.get(path.suffix.lower(), MAX_EDIT_BYTES))
    except OSError as error:
        found.complain(0, f"cannot be read: {error.strerror}")
        return found
    if path.suffix.lower() in (".csv", ".tsv"):
        read_csv(path, data, found, rate)
    else:
        try:
            # OpenTimelineIO loads slowly.
            from backend.batch.shot_timelines import read_timeline
        except ModuleNotFoundError:
            found.complain(0, "needs OpenTimelineIO, which the backend for this Python lacks: make it a CSV file")
            return found
        read_timeline(path, data, found, rate)
    if not found.shots and not found.problems:
        found.complain(0, "has no shots")
    if len(found.shots) > MAX_SHOTS:
        found.complain(0, f"has more than {MAX_SHOTS:,} shots: split it")
        found.shots.clear()
    return found
