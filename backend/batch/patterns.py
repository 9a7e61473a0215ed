"""Where a shot's files go: patterns with {shot}, {camera} and {frame}, below the output folder."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from pathlib import Path, PurePosixPath

from backend.protocol import names
from backend.protocol.errors import TurboPortraitError
from backend.protocol.shots import Shot

SUFFIXES = (".png", ".exr")
RESERVED = "job"
"""The folder of the job's own files below the output folder."""
PAGE = "index.html"
"""The contact sheet in the output folder."""
MAX_PATTERN = 500
"""Characters."""
MAX_PATH_BYTES = 1000
"""Of a file's path below the output folder."""
_FIELD = re.compile(r"\{([^{}]*)\}")
_FRAME = re.compile(r"frame(?::0?(\d)d)?", re.ASCII)


def pattern_problem(pattern: str) -> str:
    """What is wrong with a pattern; empty if nothing is."""
    fields = _FIELD.findall(pattern)
    unknown = [field for field in fields if field not in ("shot", "camera") and not _FRAME.fullmatch(field)]
    if len(pattern) > MAX_PATTERN:
        return f"the output pattern is longer than {MAX_PATTERN} characters"
    if unknown:
        return f"the output pattern has {{{unknown[0][:40]}}}; there are {{shot}}, {{camera}}, {{frame}}, {{frame:04d}}"
    if not any(field.startswith("frame") for field in fields):
        return "the output pattern has no {frame}: each frame would overwrite the one before"
    if re.search(r"[{}]", _FIELD.sub("", pattern)):
        return "the output pattern has a brace without its other half"
    problem = path_problem(frame_path(pattern, Shot("shot", 1, 1, "camera"), 1), SUFFIXES)
    return f"the output pattern must name a file below the output folder: {problem}" if problem else ""


def name_problem(name: str) -> str:
    """Why a shot's name can't name files; empty if it can."""
    if not name.strip():
        return "the shot has no name"
    if problem := names.name_problem(name):
        return f"the name {name[:100]!r} can't name a folder: {problem}"
    if problem := _kept(name):
        return f"the name {name!r} is kept: {problem}"
    return ""


def path_problem(path: str, suffixes: Collection[str]) -> str:
    """Why a path, '/' between its parts, can't name a picture or movie below the output folder; empty if it can."""
    parts = path.split("/")
    for part in parts:
        if problem := names.name_problem(part):
            return f"in {path[:200]!r}, {part[:100]!r} can't name a file or folder: {problem}"
    if problem := _kept(parts[0]):
        return f"{path[:200]!r} begins with a name that is kept: {problem}"
    if len(path.encode()) > MAX_PATH_BYTES:
        return f"{path[:200]!r} and so on is longer than {MAX_PATH_BYTES} bytes"
    if PurePosixPath(path).suffix not in suffixes:
        return f"{path[:200]!r} ends in '{PurePosixPath(path).suffix}' in place of {' or '.join(suffixes)}"
    return ""


def _kept(name: str) -> str:
    """What a name directly below the output folder is kept for; empty if for nothing."""
    key = name_key(name)
    if key == RESERVED:
        return "that folder is the job's own"
    if key == PAGE:
        return "that is the contact sheet"
    return "so unfinished files end" if key.endswith(".part") else ""


def name_key(name: str) -> str:
    """What is equal for names that some file system takes for one: by case, composition, characters without width."""
    shown = "".join(c for c in name if unicodedata.category(c) != "Cf")
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", shown).casefold())


def frame_path(pattern: str, shot: Shot, frame: int, suffix: str = "") -> str:
    """A frame's path below the output folder, with '/' between its parts; no field leads out of its part.

    Args:
        suffix: of the view, put before the extension as Blender puts it.
    """

    def value(match: re.Match) -> str:
        if match[1] == "shot":
            return names.safe_name(shot.name)
        if match[1] == "camera":
            return names.safe_name(shot.camera or "camera")
        padding = _FRAME.fullmatch(match[1])
        digits = int(padding[1] or 0) if padding else 0
        return f"{frame:0{digits + (frame < 0)}d}" if digits else str(frame)

    stem, dot, extension = _FIELD.sub(value, pattern).rpartition(".")
    return f"{stem}{suffix}{dot}{extension}"


def output_file(output: Path, path: str, suffixes: Collection[str]) -> Path:
    """Where a picture or movie is written: a path that `path_problem` lets pass, below the output folder's real place.

    Raises:
        TurboPortraitError: cannot_write: it is none, or a link leads out of the output folder.
    """
    if problem := path_problem(path, suffixes):
        raise TurboPortraitError("cannot_write", problem)
    file = output / path
    if not file.parent.resolve().is_relative_to(output.resolve()):
        raise TurboPortraitError("cannot_write", f"{file}: a link leads out of the output folder")
    return file
