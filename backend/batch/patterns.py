"""Where a shot's files go: patterns with {shot}, {camera} and {frame}, below the output folder."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from backend.protocol.shots import Shot

SUFFIXES = (".png", ".exr")
RESERVED = "job"
"""The folder of the job's own files below the output folder."""
_FIELD = re.compile(r"\{([^{}]*)\}")
_FRAME = re.compile(r"frame(?::0?(\d)d)?")
_UNSAFE = re.compile(r'[\x00-\x1f<>:"|?*\\/]')


def pattern_problem(pattern: str) -> str:
    """What is wrong with a pattern; empty if nothing is."""
    fields = _FIELD.findall(pattern)
    unknown = [field for field in fields if field not in ("shot", "camera") and not _FRAME.fullmatch(field)]
    rest = _FIELD.sub("x", pattern)
    path = PurePosixPath(rest)
    if unknown:
        return f"the output pattern has {{{unknown[0][:40]}}}; there are {{shot}}, {{camera}}, {{frame}}, {{frame:04d}}"
    if not any(field.startswith("frame") for field in fields):
        return "the output pattern has no {frame}: each frame would overwrite the one before"
    if path.suffix not in SUFFIXES:
        return f"the output pattern ends in '{path.suffix}'; pictures are written as .png or .exr"
    if path.is_absolute() or ".." in path.parts or re.search(r'[\x00-\x1f<>:"|?*\\{}]', rest) or len(pattern) > 500:
        return "the output pattern must stay below the output folder: no '..', no drive, no leading '/'"
    if path.parts[0].lower() == RESERVED:
        return f"the folder '{RESERVED}' keeps the job itself: choose another for pictures"
    return ""


def name_problem(name: str) -> str:
    """Why a shot's name can't name files; empty if it can."""
    if not name.strip():
        return "the shot has no name"
    if _UNSAFE.search(name) or name in (".", "..") or name != name.strip(" ") or name.endswith(".") or len(name) > 100:
        return f"the name {name[:100]!r} can't name a folder: no slashes, colons, quotes or the like"
    return f"the name '{name}' is kept for the job's own folder" if name.lower() == RESERVED else ""


def frame_path(pattern: str, shot: Shot, frame: int) -> str:
    """A frame's path below the output folder, with '/' between its parts."""

    def value(match: re.Match) -> str:
        if match[1] == "shot":
            return shot.name
        if match[1] == "camera":
            return _UNSAFE.sub("_", shot.camera) or "camera"
        digits = int(_FRAME.fullmatch(match[1])[1] or 0)
        return f"{frame:0{digits + (frame < 0)}d}" if digits else str(frame)

    return _FIELD.sub(value, pattern)
