"""Names that users give to models: they become file names."""

from __future__ import annotations

import re
from collections.abc import Collection

from backend.protocol.errors import TurboPortraitError
from backend.protocol.names import name_problem

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,59}")


def checked_name(name: str, shipped: Collection[str] = ()) -> str:
    """The name as it is.

    Raises:
        TurboPortraitError: bad_model_name: it is no plain name, one that a system keeps for itself, or one of those
            that ship.
    """
    if not _NAME.fullmatch(name):
        raise TurboPortraitError("bad_model_name", f"{name[:60]!r}")
    if problem := name_problem(name):
        raise TurboPortraitError("bad_model_name", f"{name}: {problem}")
    # Windows and macOS take names that differ in case alone for one.
    if name.lower() in {other.lower() for other in shipped}:
        raise TurboPortraitError("bad_model_name", f"{name} ships with the program")
    return name
