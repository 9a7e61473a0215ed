"""Files of strangers' model folders: ordinary ones, of bounded size, that lie in the folder."""

from __future__ import annotations

from pathlib import Path

from backend.protocol.errors import TurboPortraitError
from backend.protocol.reading import read_bounded

MAX_TEXT_BYTES = 1 << 20
"""Of a config or a record."""


def read_text_file(path: Path) -> bytes:
    """The bytes of a small file.

    Raises:
        OSError: it is missing, no ordinary file (a pipe would never end), or has too many bytes.
    """
    return read_bounded(path, MAX_TEXT_BYTES)


def check_inside(files: list[Path], folder: Path, code: str) -> None:
    """Refuse links that would bring files from elsewhere into a copy of the folder.

    A folder of the Hugging Face hub's cache is of links to the blobs beside it: they are of the same model.

    Raises:
        TurboPortraitError: of the given code: a file lies elsewhere.
    """
    root = folder.resolve()
    homes = [root, root.parents[1] / "blobs"] if root.parent.name == "snapshots" else [root]
    for file in files:
        if not any(file.resolve().is_relative_to(home) for home in homes):
            raise TurboPortraitError(
                code, f"{file.name} is a link that leads out of the folder: put the file itself there"
            )
