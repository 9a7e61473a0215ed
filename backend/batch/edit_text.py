"""What an edit's text says that OpenTimelineIO's readers leave out: the lines of clips, and some speeds of an EDL."""

from __future__ import annotations

import bisect
import re
from collections.abc import Sequence

import opentimelineio as otio

from backend.batch.shot_list import ShotList

_CLIP_LINES = {
    ".otio": re.compile(r'"OTIO_SCHEMA"\s*:\s*"Clip\.'),
    ".edl": re.compile(r"^(\d{3,6})\s+\S", re.MULTILINE),
    ".xml": re.compile(r"<(?:clipitem|generatoritem)\b"),
}
"""Where a clip begins in each kind of text, to name its line."""
_MOTION = re.compile(r"M2\s.*?(-?\d{1,4}(?:\.\d{1,4})?)\s+[\d:;]{11}\s*$", re.ASCII)
"""An EDL's motion effect: the speed in frames per second, and where in the media it begins."""


def clip_lines(text: str, suffix: str) -> list[int]:
    """The lines on which clips begin."""
    lines, event, line, looked = [], "", 1, 0
    for match in _CLIP_LINES[suffix].finditer(text):
        line += text.count("\n", looked, match.start())
        looked = match.start()
        # The second line of an EDL's event is its transition.
        if suffix != ".edl" or match[1] != event:
            lines.append(line)
        event = match[1] if suffix == ".edl" else ""
    return lines


def take_motion(text: str, clips: Sequence[otio.schema.Clip], lines: Sequence[int], found: ShotList) -> None:
    """Give clips the speeds of an EDL's M2 lines where its reader does not: it looks only at lengths that differ."""
    retimed = [bool(clip.effects) for clip in clips]
    motions = [(n, match) for n, line in enumerate(text.splitlines(), 1) if (match := _MOTION.match(line))]
    if not all(lines) and len(motions) != sum(retimed):
        found.complain(motions[0][0] if motions else 0, "it cannot be told which clips the M2 lines retime")
        return
    for number, match in motions:
        index = bisect.bisect(lines, number) - 1
        if all(lines) and index >= 0 and not retimed[index]:
            speed = float(match[1]) / clips[index].trimmed_range().start_time.rate
            clips[index].effects.append(otio.schema.LinearTimeWarp(time_scalar=speed))
