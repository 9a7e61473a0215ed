"""Names from outside that become names of files and folders: one rule for models, shots and cameras on every system."""

from __future__ import annotations

import hashlib
import re
import unicodedata

MAX_NAME_BYTES = 200
"""UTF-8. File systems allow 255; the rest is for suffixes and the names of unfinished files."""

_DEVICE = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9\u00b9\u00b2\u00b3]) *(\..*)?", re.I | re.S)
"""Names that Windows keeps for devices, also with a suffix (learn.microsoft.com, "Naming Files, Paths")."""
_PUNCTUATION = frozenset('<>:"|?*\\/')
_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Unicode's control characters, lone surrogates, and its separators of lines and paragraphs."""


def name_problem(name: str) -> str:
    """Why a text can't name one file or folder on Windows, macOS and Linux alike; empty if it can."""
    if not name.strip():
        return "it is empty"
    if bad := next(filter(_is_bad, name), ""):
        return f"it has the character {bad!r}"
    if name[0] == " " or name[-1] in " .":
        return "it begins with a space, or ends in a space or dot"
    if _DEVICE.fullmatch(name):
        return "Windows keeps this name for a device"
    if len(name.encode()) > MAX_NAME_BYTES:
        return f"it is longer than {MAX_NAME_BYTES} bytes"
    return ""


def safe_name(text: str) -> str:
    """A text as a name in which `name_problem` finds nothing; what has no problem stays as it is.

    Different texts may become the same name.
    """
    name = "".join("_" if _is_bad(c) else c for c in text)
    stripped = name.lstrip(" ")
    name = "_" * (len(name) - len(stripped)) + stripped
    stripped = name.rstrip(" .")
    name = stripped + "_" * (len(name) - len(stripped))
    if not name.strip() or _DEVICE.fullmatch(name):
        name = f"_{name}"
    if len(encoded := name.encode()) > MAX_NAME_BYTES:
        digest = hashlib.sha256(encoded).hexdigest()[:8]
        name = f"{encoded[: MAX_NAME_BYTES - 9].decode(errors='ignore')}_{digest}"
    return name


def _is_bad(character: str) -> bool:
    return character in _PUNCTUATION or unicodedata.category(character) in _CATEGORIES
