"""What is remembered of an installed model: a small JSON file beside it."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from backend.models.folder_files import read_text_file
from backend.protocol.errors import TurboPortraitError
from backend.protocol.files import atomic_folder, write_file

RECORD_NAME = "installed.json"


class Record(msgspec.Struct, frozen=True):
    """One installation.

    Attributes:
        source: name or address of what it was made from.
        licence: its name.
        files: sha256 of every installed file, hex, by its path in the model's folder.
        source_sha256: that of the file that it was made from; empty where `files` are the source's own.
        installed: UTC, ISO 8601.
    """

    source: str
    licence: str
    files: dict[str, str]
    source_sha256: str = ""
    installed: str = msgspec.field(
        default_factory=lambda: datetime.datetime.now(datetime.UTC).isoformat("T", "seconds")
    )

    def save(self, path: Path) -> None:
        """Write it in one step."""
        write_file(path, msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n")

    @classmethod
    def load(cls, path: Path) -> Record | None:
        """None where there is none, or none that can be read."""
        try:
            return msgspec.json.decode(read_text_file(path), type=cls)
        except (OSError, ValueError, RecursionError, msgspec.MsgspecError):
            return None

    def verify(self, folder: Path) -> None:
        """Compare the files with their checksums.

        Raises:
            TurboPortraitError: model_damaged: one is missing or differs.
        """
        for name, expected in self.files.items():
            path = folder / name
            if not path.is_file():
                raise TurboPortraitError("model_damaged", f"{path} is missing")
            if sha256(path) != expected:
                raise TurboPortraitError("model_damaged", f"{path} is not what was installed")


@contextlib.contextmanager
def installing(folder: Path, replace: bool = False) -> Iterator[Path]:
    """A fresh folder to fill, which takes the place of `folder` when the block ends well, and is gone otherwise.

    Raises:
        TurboPortraitError: model_exists: `folder` is there already, and shall not be replaced; and as
            `atomic_folder`.
    """
    if os.path.lexists(folder) and not replace:
        raise TurboPortraitError("model_exists", folder.name)
    with atomic_folder(folder) as stage:
        yield stage


def sha256(path: Path) -> str:
    """The checksum of a file, hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
