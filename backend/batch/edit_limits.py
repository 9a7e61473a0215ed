"""What is looked at in an edit's text before OpenTimelineIO reads it, so that no stranger's file holds or ends us."""

from __future__ import annotations

import re

MAX_DEPTH = 100
"""Lists and objects within each other: the reader of OTIO uses the stack, and 100,000 of them end the process."""
MAX_NESTING = 20_000_000
"""Sum of the depths of all parts of an OTIO file: its reader copies each part once per level."""
MAX_PARTS = {".otio": 20_000, ".edl": 20_000, ".xml": 8_000}
"""Clips and the like, of picture and sound; FCP XML's reader takes the square of their number."""
PARTS = {
    ".otio": re.compile(r'"OTIO_SCHEMA"\s*:\s*"(?:Clip|Gap|Transition|Stack|Track)\.'),
    ".edl": re.compile(r"^\d{3,6}\s+\S", re.MULTILINE),
    ".xml": re.compile(r"<(?:clipitem|generatoritem|transitionitem|sequence|track)\b"),
}
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+"|[\[\]{},]', re.DOTALL)


def edit_problem(text: str, suffix: str) -> str:
    """Why a text is no edit that can be read in a time that people wait; empty if it is."""
    if suffix in PARTS:
        count = sum(1 for _ in PARTS[suffix].finditer(text))
        if count > MAX_PARTS[suffix]:
            return f"has {count:,} clips, tracks and the like; {MAX_PARTS[suffix]:,} are possible: split it"
    return _nesting_problem(text) if suffix == ".otio" else ""


def _nesting_problem(text: str) -> str:
    depth = total = 0
    for match in _TOKEN.finditer(text):
        token = match[0]
        if token in "[{":
            depth += 1
        elif token in "]}":
            depth -= 1
        total += depth
        if depth > MAX_DEPTH:
            return f"has lists within lists more than {MAX_DEPTH} deep"
        if total > MAX_NESTING:
            return "has too many parts too deep within each other"
    return ""
