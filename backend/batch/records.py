"""What is done: a line of JSON per frame, in one file per worker, so that none waits for another."""

from __future__ import annotations

import contextlib
import re
import uuid
from collections.abc import Iterator
from pathlib import Path

import msgspec

from backend.protocol.errors import TurboPortraitError, describe
from backend.protocol.files import append_file

_NAME = re.compile(r"[0-9a-f]{32}\.jsonl")


class OutputRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """One frame or movie that was written, or that failed.

    Attributes:
        frame: None for a movie of the whole shot.
        key: the hash of everything that the picture depends on.
        path: below the output folder.
        bytes: of the file; 0 for a failure.
        seconds: per stage (raw, refine, write).
        worker: who rendered it: host and process.
        code, sentence: what went wrong; empty where nothing did.
    """

    key: str
    shot: str
    frame: int | None
    path: str
    bytes: int = 0
    seconds: dict[str, float] = {}
    worker: str = ""
    code: str = ""
    sentence: str = ""

    @property
    def identity(self) -> str:
        """What is asked for: this content in this file."""
        return f"{self.key} {self.path}"

    def failed(self, error: Exception) -> OutputRecord:
        """The record of the same file where it could not be made."""
        shown = describe(error)
        return msgspec.structs.replace(self, bytes=0, seconds={}, code=shown.code, sentence=shown.sentence)


class RecordFile:
    """A worker's own file, appended to."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / f"{uuid.uuid4().hex}.jsonl"

    def add(self, records: list[OutputRecord]) -> None:
        """Append all of them or none; on the disk when this returns.

        Raises:
            TurboPortraitError: disk_full, read_only, cannot_write.
        """
        append_file(self._path, b"".join(msgspec.json.encode(record) + b"\n" for record in records))


def read_records(folder: Path) -> Iterator[OutputRecord]:
    """All records, the oldest file first; a line that a crash cut short is left out."""
    files = sorted(_files(folder), key=lambda path: (path.stat().st_mtime_ns, path.name))
    decoder = msgspec.json.Decoder(OutputRecord)
    for path in files:
        with open(path, "rb") as file:
            for line in file:
                try:
                    yield decoder.decode(line)
                except msgspec.MsgspecError:
                    continue


def compact_records(folder: Path, keep: list[OutputRecord]) -> None:
    """Put what still counts into one file; the many small ones of earlier runs go, unless there is no room for it."""
    old = _files(folder)
    if len(old) < 2:
        return
    with contextlib.suppress(TurboPortraitError, OSError):
        RecordFile(folder).add(keep)
        for path in old:
            path.unlink()


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if _NAME.fullmatch(path.name)] if folder.is_dir() else []
