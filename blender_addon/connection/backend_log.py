"""What the backend and its installation say: their log files, and the end of the newer as a text datablock."""

from __future__ import annotations

from pathlib import Path

import bpy
from bpy.app.translations import pgettext_rpt as rpt_

from backend.client.discovery import state_folder

TEXT_NAME = "TurboPortrait backend log"
SHOWN_BYTES = 64 * 1024
_seen = ("", 0, 0)


def log_path() -> Path:
    """The file with the backend's own words."""
    return state_folder() / "backend.log"


def install_log_path() -> Path:
    """The file with what venv and pip said."""
    return state_folder() / "install.log"


def show() -> bpy.types.Text:
    """The text with the end of the newer log, made if need be; it follows the files from then on."""
    global _seen
    text = bpy.data.texts.get(TEXT_NAME) or bpy.data.texts.new(TEXT_NAME)
    _seen = ("", 0, 0)
    refresh()
    return text


def refresh() -> None:
    """Bring the text up to date, if there is one."""
    global _seen
    text = bpy.data.texts.get(TEXT_NAME)
    if text is None:
        return
    try:
        path = _newer()
        with path.open("rb") as file:
            size = file.seek(0, 2)
            seen = (str(path), size, text.session_uid)
            if seen == _seen:
                return
            file.seek(max(0, size - SHOWN_BYTES))
            tail = file.read(SHOWN_BYTES)
    except OSError:
        text.from_string(rpt_("There is no log yet: the backend was not started from this Blender."))
        return
    _seen = seen
    text.from_string(tail.decode(errors="replace"))


def _newer() -> Path:
    """The log that was written last; raises OSError if there is none."""
    return max((path for path in (log_path(), install_log_path()) if path.exists()), key=_written, default=log_path())


def _written(path: Path) -> float:
    return path.stat().st_mtime
