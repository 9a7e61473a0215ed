"""Shot lists as edits, through OpenTimelineIO: a clip of a video track is a shot.

The clip's source range counts the scene's frames. What else a shot needs is in the clip's metadata under
"turboportrait"; an edit without it uses the camera that has the clip's name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import opentimelineio as otio

from backend.batch.edit_limits import edit_problem
from backend.batch.rates import exact_rate, rate_text
from backend.batch.shot_lists import ShotList, decode_text
from backend.protocol.limits import MAX_FRAME
from backend.protocol.shots import Shot

KINDS = ("otio", "edl", "xml", "aaf")
"""Of the many that OpenTimelineIO's plug-ins read; archives and folders are not among them."""
METADATA = "turboportrait"
MAX_VALUE = 10 * MAX_FRAME
TEXTS = ("camera", "avatar", "portrait", "quality", "output")
NUMBERS = ("width", "height")
_CLIP_LINES = {
    ".otio": re.compile(r'"OTIO_SCHEMA"\s*:\s*"Clip\.'),
    ".edl": re.compile(r"^\d{3,6}\s+\S", re.MULTILINE),
    ".xml": re.compile(r"<clipitem\b"),
}
"""Where a clip begins in each kind of text, to name its line."""


def read_timeline(path: Path, data: bytes, found: ShotList, rate: Fraction | None = None) -> None:
    """Add an edit's shots and problems to `found`; `rate` is for EDLs, which don't say theirs (24 if None)."""
    suffix = path.suffix.lower()
    readers = [kind for kind in KINDS if kind in otio.adapters.suffixes_with_defined_adapters(read=True)]
    if suffix.removeprefix(".") not in readers:
        found.complain(0, f"files of type '{suffix}' cannot be read; there are: csv, {', '.join(readers)}")
        return
    text = None
    if suffix in _CLIP_LINES:
        text = decode_text(data, found)
        if text is None:
            return
        if problem := edit_problem(text, suffix):
            found.complain(0, problem)
            return
    options = {"rate": float(rate or 24)} if suffix == ".edl" else {}
    try:
        if text is None:
            timeline = otio.adapters.read_from_file(str(path))
        else:
            adapter = otio.adapters.from_filepath(str(path)).name
            timeline = otio.adapters.read_from_string(text, adapter, **options)
        timelines = [timeline] if isinstance(timeline, otio.schema.Timeline) else list(timeline.find_children())
        clips = [clip for edit in timelines if isinstance(edit, otio.schema.Timeline) for clip in _clips(edit)]
    # Adapters raise whatever their formats' parsers raise: the file is at fault all the same.
    except Exception as error:
        found.complain(_line_of(error), f"cannot be read as {suffix.removeprefix('.').upper()}: {str(error)[:200]}")
        return
    lines = _lines(text, suffix, len(clips)) if text is not None else [0] * len(clips)
    for clip, line in zip(clips, lines, strict=True):
        _read_clip(clip, line, path, found)


def _clips(timeline: otio.schema.Timeline) -> list[otio.schema.Clip]:
    return [clip for track in timeline.video_tracks() for clip in track.find_clips()]


def _lines(text: str, suffix: str, count: int) -> list[int]:
    """The line of each clip, 0 where the text has another number of them than the edit."""
    starts = [match.start() for match in _CLIP_LINES[suffix].finditer(text)]
    return [text.count("\n", 0, start) + 1 for start in starts] if len(starts) == count else [0] * count


def _line_of(error: Exception) -> int:
    position = getattr(error, "position", None)  # xml.etree's (line, column)
    match = re.search(r"line[: ]+(\d+)", str(error))
    return position[0] if position else int(match[1]) if match else 0


def _read_clip(clip: otio.schema.Clip, line: int, path: Path, found: ShotList) -> None:
    name = clip.name or ""
    if clip.source_range is None and clip.media_reference.available_range is None:
        found.complain(line, f"the clip '{name}' has no source range: it says no frames")
        return
    span = clip.source_range or clip.media_reference.available_range
    try:
        rate = exact_rate(span.start_time.rate)
    except ValueError:
        found.complain(line, f"the clip '{name}' has {span.start_time.rate:g} frames per second")
        return
    if found.rate not in (None, rate):
        found.complain(
            line, f"the clip '{name}' has {rate_text(rate)} frames per second, others have {rate_text(found.rate)}"
        )
        return
    if found.rate is None:
        found.rate, found.rate_line = rate, line
    if any(not abs(time.value) < MAX_VALUE for time in (span.start_time, span.duration)):
        found.complain(line, f"the clip '{name}' starts or ends beyond ±{MAX_VALUE:,} frames")
        return
    if any(abs(time.value - round(time.value)) > 1e-3 for time in (span.start_time, span.duration)):
        found.complain(line, f"the clip '{name}' does not start or end on a whole frame")
        return
    extra = clip.metadata.get(METADATA, {})
    values = {key: str(extra[key]) for key in TEXTS if extra.get(key)}
    for key in NUMBERS:
        if extra.get(key):
            if not isinstance(extra[key], int):
                found.complain(line, f"'{key}' of the clip '{name}' is {str(extra[key])[:40]!r}, not a whole number")
                return
            values[key] = extra[key]
    if values.get("portrait"):
        values["portrait"] = str(path.parent / values["portrait"])
    first = round(span.start_time.value)
    values.setdefault("camera", "" if METADATA in clip.metadata else name)
    found.shots.append(Shot(name=name, first=first, last=first + round(span.duration.value) - 1, line=line, **values))


def write_otio(shots: Sequence[Shot], rate: Fraction, path: Path, title: str) -> None:
    """Write shots as one video track, so that `read_timeline` reads the same."""
    track = otio.schema.Track("Shots", kind=otio.schema.TrackKind.Video)
    for shot in shots:
        span = otio.opentime.TimeRange(
            otio.opentime.RationalTime(shot.first, float(rate)),
            otio.opentime.RationalTime(shot.last - shot.first + 1, float(rate)),
        )
        extra = {key: getattr(shot, key) for key in (*TEXTS, *NUMBERS) if getattr(shot, key)}
        track.append(otio.schema.Clip(shot.name, source_range=span, metadata={METADATA: extra}))
    timeline = otio.schema.Timeline(title)
    timeline.tracks.append(track)
    otio.adapters.write_to_file(timeline, str(path), adapter_name="otio_json")
