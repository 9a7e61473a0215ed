"""Shot lists as edits, through OpenTimelineIO: a clip of a video track is a shot.

The clip's source range counts the scene's frames. What else a shot needs is in the clip's metadata under
"turboportrait"; an edit without it uses the camera that has the clip's name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import opentimelineio as otio

from backend.batch.edit_limits import PARTS, edit_problem
from backend.batch.edit_text import clip_lines, take_motion
from backend.batch.patterns import name_key
from backend.batch.rates import exact_rate, rate_text
from backend.batch.retimes import FCP, RetimeError, first_and_speed
from backend.batch.shot_list import ShotList, decode_text
from backend.protocol.limits import MAX_FRAME
from backend.protocol.shots import Shot

KINDS = ("otio", "edl", "xml", "aaf")
"""Of the many that OpenTimelineIO's plug-ins read; archives and folders are not among them."""
METADATA = "turboportrait"
TEXTS = ("camera", "avatar", "portrait", "quality", "output")
NUMBERS = ("width", "height")
MAX_VALUE = 10 * MAX_FRAME
MEDIA = re.compile(r"\.(mp4|mov|mxf|mkv|avi|png|exr|jpe?g|tiff?|dpx)$", re.IGNORECASE)
"""Suffixes of media: a clip that is named as its file has the name before it."""


@dataclass(frozen=True)
class _Placed:
    """A clip and the compositions around it, the innermost first; `line` is 0 where it is not known."""

    clip: otio.schema.Clip
    around: tuple[otio.core.Composition, ...]
    line: int

    @property
    def is_picture(self) -> bool:
        tracks = [each for each in self.around if isinstance(each, otio.schema.Track)]
        return not tracks or tracks[-1].kind == otio.schema.TrackKind.Video

    @property
    def name(self) -> str:
        return MEDIA.sub("", self.clip.name or "")


def read_timeline(path: Path, data: bytes, found: ShotList, rate: Fraction | None = None) -> None:
    """Add an edit's shots and problems to `found`; `rate` is for EDLs, which don't say theirs (24 if None)."""
    suffix = path.suffix.lower()
    readers = [kind for kind in KINDS if kind in otio.adapters.suffixes_with_defined_adapters(read=True)]
    if suffix.removeprefix(".") not in readers:
        found.complain(0, f"files of type '{suffix}' cannot be read; there are: csv, {', '.join(readers)}")
        return
    text = None
    if suffix in PARTS:
        text = decode_text(data, found)
        if text is None:
            return
        if problem := edit_problem(text, suffix):
            found.complain(0, problem)
            return
    options = {"rate": float(rate or 24)} if suffix == ".edl" else {}
    try:
        if text is None:
            edit = otio.adapters.read_from_file(str(path))
        else:
            adapter = otio.adapters.from_filepath(str(path)).name
            edit = otio.adapters.read_from_string(text, adapter, **options)
        for placed in _clips(edit, text, suffix, found):
            if found.full:
                break
            _read_clip(placed, path, found, trims=suffix != ".edl")
    # Adapters raise whatever their formats' parsers raise: the file is at fault all the same.
    except Exception as error:
        found.complain(_line_of(error), f"cannot be read as {suffix.removeprefix('.').upper()}: {str(error)[:200]}")


def _clips(edit: object, text: str | None, suffix: str, found: ShotList) -> list[_Placed]:
    """All clips of an edit, or of all sequences of a file; notes on what is none."""
    timelines = _timelines(edit)
    if len(timelines) > 1:
        found.note(0, f"has {len(timelines)} sequences, all of which are read")
    clips = []
    for timeline in timelines:
        clips += [(clip, _around(clip)) for clip in timeline.find_clips()]
        gaps = 0
        for track in timeline.video_tracks():
            for item in track:
                gaps += isinstance(item, otio.schema.Gap)
                if isinstance(item, otio.schema.Transition):
                    frames = item.in_offset.value + item.out_offset.value
                    sentence = f"the transition '{item.name}' of {frames:g} frames is left out: shots end at its cut"
                    found.note(0, sentence)
        if gaps:
            found.note(0, f"{gaps} gaps of '{timeline.name}' are left out")
    lines = clip_lines(text, suffix) if text is not None else []
    if len(lines) != len(clips):
        lines = [0] * len(clips)
    if suffix == ".edl" and text is not None:
        take_motion(text, [clip for clip, _ in clips], lines, found)
    return [_Placed(clip, around, line) for (clip, around), line in zip(clips, lines, strict=True)]


def _timelines(edit: object) -> list[otio.schema.Timeline]:
    """An edit's one, or all sequences of a file."""
    if isinstance(edit, otio.schema.Timeline):
        return [edit]
    inside = edit if isinstance(edit, otio.schema.SerializableCollection) else ()
    return [timeline for each in inside for timeline in _timelines(each)]


def _around(clip: otio.schema.Clip) -> tuple[otio.core.Composition, ...]:
    found = []
    parent = clip.parent()
    while parent is not None:
        found.append(parent)
        parent = parent.parent()
    return tuple(found)


def _line_of(error: Exception) -> int:
    position = getattr(error, "position", None)  # xml.etree's (line, column)
    match = re.search(r"line[: ]+(\d+)", str(error))
    return position[0] if position else int(match[1]) if match else 0


def _read_clip(placed: _Placed, path: Path, found: ShotList, trims: bool) -> None:
    """Add a clip as a shot, or say why it is none.

    Args:
        trims: the range of a track counts, which OpenTimelineIO gets wrong for EDLs.
    """
    clip, name, line = placed.clip, placed.name, placed.line
    if not placed.is_picture:
        return
    if not all(map(_is_on, (clip, *placed.around))):
        found.note(line, f"the clip '{name}' is disabled: it is left out")
        return
    if isinstance(clip.media_reference, otio.schema.GeneratorReference):
        kind = clip.media_reference.generator_kind
        found.note(line, f"the clip '{name}' is made by the editor ({kind}): it is left out")
        return
    if clip.source_range is None and clip.media_reference.available_range is None:
        found.complain(line, f"the clip '{name}' has no source range: it says no frames")
        return
    span = clip.trimmed_range()
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
    offset, end = _seen(clip, placed.around if trims else placed.around[:-2])
    if offset >= end:
        found.note(line, f"the clip '{name}' is trimmed away")
        return
    try:
        if any(isinstance(effect, otio.schema.TimeEffect) for each in placed.around for effect in each.effects):
            raise RetimeError("what it is nested in is retimed")
        first, speed = first_and_speed(clip, offset)
    except RetimeError as error:
        found.complain(line, f"the clip '{name}' cannot be rendered as it is cut: {error}")
        return
    if any(not abs(value - round(value)) < 1e-3 for value in (first, end - offset)):
        found.complain(line, f"the clip '{name}' does not start or end on a whole frame")
        return
    values = _values(clip, name, line, found)
    if values is None:
        return
    if values.get("portrait"):
        values["portrait"] = str(path.parent / values["portrait"])
    last = round(first) + round(end - offset) - 1
    found.shots.append(
        Shot(name=_numbered(name, found), first=round(first), last=last, speed=speed, line=line, **values)
    )


def _is_on(item: otio.core.Item) -> bool:
    fcp = item.metadata.get(FCP)
    return item.enabled and not (hasattr(fcp, "keys") and str(fcp.get("enabled", "")).upper() == "FALSE")


def _seen(clip: otio.schema.Clip, around: Sequence[otio.core.Composition]) -> tuple[float, float]:
    """The clip's pictures, from 0 on, that the trims of what it is nested in leave: the first, and the end."""
    span = clip.trimmed_range()
    first, end, shift = 0.0, span.duration.value, 0.0
    if any(each.source_range for each in around):
        item: otio.core.Item = clip
        for parent in around:
            shift += item.range_in_parent().start_time.rescaled_to(span.duration).value
            if trim := parent.source_range:
                first = max(first, trim.start_time.rescaled_to(span.duration).value - shift)
                end = min(end, trim.end_time_exclusive().rescaled_to(span.duration).value - shift)
                shift -= trim.start_time.rescaled_to(span.duration).value
            item = parent
    return first, end


def _values(clip: otio.schema.Clip, name: str, line: int, found: ShotList) -> dict[str, Any] | None:
    """What the clip's metadata says; None and a problem where it cannot."""
    extra = clip.metadata.get(METADATA, {})
    if not hasattr(extra, "keys"):
        found.complain(line, f"'{METADATA}' in the metadata of the clip '{name}' is no dictionary")
        return None
    values: dict[str, Any] = {}
    for key in (*TEXTS, *NUMBERS):
        value, kind = extra.get(key), str if key in TEXTS else int
        if value is None:
            continue
        if not isinstance(value, kind) or isinstance(value, bool):
            wanted = "a text" if kind is str else "a whole number"
            found.complain(line, f"'{key}' of the clip '{name}' is {str(value)[:40]!r}, not {wanted}")
            return None
        values[key] = value
    values.setdefault("camera", "" if METADATA in clip.metadata else name)
    return values


def _numbered(name: str, found: ShotList) -> str:
    """The name, with a number where an earlier clip has it: an edit may use a clip again."""
    number, free = 1, name
    while name_key(free) in found.names:
        number += 1
        free = f"{name}_{number}"
    found.names.add(name_key(free))
    return free


def write_otio(shots: Sequence[Shot], rate: Fraction, path: Path, title: str) -> None:
    """Write shots as one video track, so that `read_timeline` reads the same."""
    track = otio.schema.Track("Shots", kind=otio.schema.TrackKind.Video)
    for shot in shots:
        span = otio.opentime.TimeRange(
            otio.opentime.RationalTime(shot.first, float(rate)),
            otio.opentime.RationalTime(shot.last - shot.first + 1, float(rate)),
        )
        extra = {key: getattr(shot, key) for key in (*TEXTS, *NUMBERS) if getattr(shot, key)}
        clip = otio.schema.Clip(shot.name, source_range=span, metadata={METADATA: extra})
        if shot.speed != 1:
            clip.effects.append(otio.schema.LinearTimeWarp(time_scalar=shot.speed))
        track.append(clip)
    timeline = otio.schema.Timeline(title)
    timeline.tracks.append(track)
    otio.adapters.write_to_file(timeline, str(path), adapter_name="otio_json")
