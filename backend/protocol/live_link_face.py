"""The CSV that Epic's Live Link Face writes beside a take's video.

A row per frame: a timecode, the number of values, ARKit's 52 actions, and nine angles in radians. The angles are
right-handed about head space's own axes: yaw about y, then pitch about x, then roll about z. That is what the
conversion in Unreal Engine's AppleARKit plugin makes of ARKit's transforms where faces are not mirrored.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from backend.protocol.arkit import ACTIONS
from backend.protocol.performance import Performance
from backend.protocol.take_rows import put_together
from flame.rotations import axis_angle_to_matrix, matrix_to_axis_angle

DEFAULT_RATE = 60
"""Frames per second that the app records at if nobody changes it."""
TIMECODE_RATES = (24, 25, 30, 48, 50, 60, 120)
DAY = 86_400
_TIMECODE = re.compile(r"(\d{1,2}):(\d{2}):(\d{2})([:;.])(\d{1,3}(?:\.\d+)?)")
_BY_NAME = {name.lower(): name for name in ACTIONS}
_ANGLES = tuple(f"{part}{turn}" for part in ("head", "lefteye", "righteye") for turn in ("yaw", "pitch", "roll"))


def read(text: str, source: str, rate: Fraction | None = None) -> Performance:
    """A take from the text of its CSV.

    Args:
        text: of the file.
        source: its name.
        rate: frames per second that the timecode counts; by default the lowest usual one that has all its frames.

    Returns:
        A performance relative to rest, as ARKit's numbers are. Rows that cannot be read are filled in and noted.

    Raises:
        ValueError: it is another app's, or nothing in it can be read; with the line.
    """
    # A field of a stranger's file can be as long as it likes, up to the file itself.
    csv.field_size_limit(max(len(text), 1 << 17))
    try:
        rows = list(csv.reader(io.StringIO(text)))
    except csv.Error as error:
        raise ValueError(f"it is no CSV: {error}") from error
    names = [name.strip().lower() for name in rows[0]] if rows else []
    wanted = [k for k, name in enumerate(names) if name in _BY_NAME or name in _ANGLES]
    if "timecode" not in names or not any(names[k] in _BY_NAME for k in wanted):
        raise ValueError("line 1 has no column Timecode with ARKit's actions beside it: it is another app's file")
    if len(set(names)) < len(names):
        raise ValueError("line 1 names a column twice")
    codes, values, bad = _values(rows, names, wanted)
    times, drop = _times(codes, rate)
    column = {names[k]: values[:, place] for place, k in enumerate(wanted)}
    missing = [name for name in ACTIONS if name.lower() not in column]
    notes = []
    if missing:
        notes.append(f"{len(missing)} actions are not in the file and stay at rest: {', '.join(missing)}.")
    if drop:
        notes.append("The timecode leaves out frame numbers (drop-frame); the times follow the true rate.")
    turns = {part: _rotations(column, part, len(values)) for part in ("head", "lefteye", "righteye")}
    eyes = None
    if turns["lefteye"] is not None and turns["righteye"] is not None:
        eyes = np.stack([turns["lefteye"], turns["righteye"]], 1)
    actions = {name: column[name.lower()] for name in ACTIONS if name.lower() in column}
    return put_together(source, times, actions, turns["head"], gaze=eyes, bad=bad, notes=notes)


def _values(
    rows: Sequence[Sequence[str]], names: Sequence[str], wanted: Sequence[int]
) -> tuple[list[tuple[int, int, int, float, bool]], np.ndarray, list[str]]:
    """Timecodes, values (N, columns) with nan for what cannot be read, and sentences about that."""
    at, counted = names.index("timecode"), next((k for k, n in enumerate(names) if n == "blendshapecount"), None)
    codes, values, bad = [], [], []
    for line, row in enumerate(rows[1:], 2):
        if not any(map(str.strip, row)):
            continue
        code = _TIMECODE.fullmatch(row[at].strip()) if at < len(row) else None
        if not code:
            said = row[at][:40] if at < len(row) else ""
            bad.append(f"Line {line}: the timecode {said!r} is none; the row is left out.")
            continue
        hours, minutes, seconds, mark, frame = code.groups()
        codes.append((int(hours), int(minutes), int(seconds), float(frame), mark == ";"))
        numbers = np.full(len(wanted), np.nan)
        # The app writes rows of no values where it lost the face.
        if counted is None or counted >= len(row) or row[counted].strip() not in ("0", "0.0"):
            try:
                for place, k in enumerate(wanted):
                    numbers[place] = float(row[k])
                if not np.isfinite(numbers).all():
                    raise ValueError
            except ValueError:
                bad.append(f"Line {line}, column {names[k]}: {row[k][:40]!r} is no number; the row is filled in.")
                numbers[:] = np.nan
            except IndexError:
                bad.append(f"Line {line} has {len(row)} of {len(names)} columns; the row is filled in.")
                numbers[:] = np.nan
        values.append(numbers)
    return codes, np.array(values).reshape(-1, len(wanted)), bad


def _times(codes: list[tuple[int, int, int, float, bool]], rate: Fraction | None) -> tuple[np.ndarray, bool]:
    """Seconds (N,) of timecodes, and whether they leave out frame numbers."""
    if not codes:
        return np.zeros(0), False
    hours, minutes, seconds, frames, marks = (np.array(each, float) for each in zip(*codes, strict=True))
    whole = 3600 * hours + 60 * minutes + seconds
    # After midnight it goes on.
    whole += DAY * np.cumsum(np.diff(whole, prepend=whole[0]) < -DAY / 2)
    if rate is None:
        # Only where a second is over has its last frame been seen.
        most = int(frames.max()) if (np.diff(whole) > 0).any() else DEFAULT_RATE - 1
        count = next((each for each in TIMECODE_RATES if each > most), most + 1)
    else:
        count = math.ceil(rate)
    drop = bool(marks.any()) and count in (30, 60)
    number = whole * count + frames
    if not drop:
        # A timecode's second has whole frames: at 29.97 of them a second it lasts longer than a second.
        return number / float(rate or count), False
    # SMPTE 12M: two numbers a minute, four at 60, but not each tenth minute.
    minute = np.floor(whole / 60)
    number -= (2 * count / 30) * (minute - np.floor(minute / 10))
    return number * 1001 / (1000 * count), True


def _rotations(column: dict[str, np.ndarray], part: str, number: int) -> np.ndarray | None:
    """Axis-angle (N, 3) of a part's angles; None where the file has none."""
    if not any(f"{part}{turn}" in column for turn in ("yaw", "pitch", "roll")):
        return None
    turned = np.eye(3)
    for turn, axis in (("yaw", 1), ("pitch", 0), ("roll", 2)):
        vector = np.zeros((number, 3))
        vector[:, axis] = column.get(f"{part}{turn}", 0.0)
        lost = np.isnan(vector).any(1)
        turned = turned @ axis_angle_to_matrix(np.nan_to_num(vector))
    result = matrix_to_axis_angle(turned)
    result[lost] = np.nan
    return result
