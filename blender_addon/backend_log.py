"""The backend's own words: its log file, and the end of it as a text datablock."""

from __future__ import annotations

from pathlib import Path

import bpy

from backend.client.discovery import state_folder

TEXT_NAME = "TurboPortrait backend log"
SHOWN_BYTES = 64 * 1024
_seen = (0, 0)


def log_path() -> Path:
    """The file with the backend's own words."""
    return state_folder() / "backend.log"


def show() -> bpy.types.Text:
    """The text with the end of the log, made if need be; it follows the file from then on."""
    global _seen
    text = bpy.data.texts.get(TEXT_NAME) or bpy.data.texts.new(TEXT_NAME)
    _seen = (0, 0)
    refresh()
    return text


def refresh() -> None:
    """Bring the text up to date, if there is one."""
    global _seen
    text = bpy.data.texts.get(TEXT_NAME)
    if text is None:
        return
    try:
        with log_path().open("rb") as file:
            size = file.seek(0, 2)
            if (size, text.session_uid) == _seen:
                return
            file.seek(max(0, size - SHOWN_BYTES))
            tail = file.read(SHOWN_BYTES)
    except OSError:
        text.from_string("There is no log yet: the backend was not started from this Blender.")
        return
    _seen = (size, text.session_uid)
    text.from_string(tail.decode(errors="replace"))
