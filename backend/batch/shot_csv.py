"""Shot lists as CSV: a header line, then a line per shot. `docs/batch.md` lists the columns."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from backend.batch.rates import exact_rate, rate_text
from backend.batch.shot_list import ShotList, decode_text
from backend.protocol.files import write_file
from backend.protocol.shots import Shot

NEEDED = ("name", "first", "last")
TEXTS = ("camera", "avatar", "portrait", "quality", "output")
NUMBERS = ("width", "height")
FRAMES = ("first", "last")
_WHOLE = re.compile(r"[+-]?\d{1,9}", re.ASCII)
_DECIMAL = re.compile(r"\d{1,4}([.,]\d{1,9})?", re.ASCII)
_TIMECODE = re.compile(r"\d{1,3}:\d\d:\d\d[:;]\d{2,3}", re.ASCII)
MAX_CELLS = 1000
"""In one line."""
COLUMNS = (
    *("name", "camera", "first", "last", "fps", "speed"),
    *("avatar", "portrait", "width", "height", "quality", "output"),
)
DELIMITERS = ",;\t"


def read_csv(path: Path, data: bytes, found: ShotList, rate: Fraction | None = None) -> None:
    """Add a file's shots and problems to `found`. Commas, semicolons or tabs; lines that start with # are left out.

    Args:
        rate: for timecodes of lines that don't say their frame rate.
    """
    text = decode_text(data, found)
    if text is None:
        return
    first = next((line for line in io.StringIO(text) if line.strip() and not line.startswith("#")), "")
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=max(DELIMITERS, key=first.count))
    header: list[str] | None = None
    line = 1
    try:
        for row in rows:
            # A quoted field may span lines: a row is named by its first.
            here, line = line, rows.line_num + 1
            if found.full:
                return
            if not any(cell.strip() for cell in row) or row[0].startswith("#"):
                continue
            if len(row) > MAX_CELLS:
                found.complain(here, f"{len(row)} cells: that is no shot list")
                return
            if header is None:
                header = [cell.strip().lower() for cell in row]
                if not _header_is_good(header, here, found):
                    return
                continue
            cells = dict(zip(header, map(str.strip, row), strict=False))
            _read_row(cells, sum(map(bool, row[len(header) :])), here, path, found, rate)
    except csv.Error as error:
        found.complain(rows.line_num, f"is not CSV: {error}")


def _header_is_good(header: list[str], line: int, found: ShotList) -> bool:
    problems = [f"the column '{name}' is missing" for name in NEEDED if name not in header]
    problems += [f"the column '{name}' is there twice" for name in COLUMNS if header.count(name) > 1]
    if others := [name for name in header if name and name not in COLUMNS]:
        known = ", ".join(COLUMNS)
        found.note(line, f"columns that are not read: {', '.join(others)[:200]}; those that are: {known}")
    for sentence in problems:
        found.complain(line, sentence)
    return not problems


def _read_row(
    cells: dict[str, str], surplus: int, line: int, path: Path, found: ShotList, rate: Fraction | None
) -> None:
    before = len(found.problems)
    if surplus:
        found.complain(line, f"{surplus} more cells than the header has columns")
    values: dict[str, Any] = {name: cells.get(name, "") for name in ("name", *TEXTS)}
    if cells.get("fps"):
        _take_rate(cells["fps"], line, found)
    for name in FRAMES:
        values[name] = _frame(name, cells.get(name, ""), line, found, found.rate or rate)
    for name in NUMBERS:
        if cell := cells.get(name, ""):
            if _WHOLE.fullmatch(cell):
                values[name] = int(cell)
            else:
                _complain(found, line, name, cell, "a whole number")
    if cell := cells.get("speed", ""):
        if _DECIMAL.fullmatch(cell):
            values["speed"] = float(cell.replace(",", "."))
        else:
            _complain(found, line, "speed", cell, "a number")
    if values["portrait"]:
        # As written, relative to the list's own folder.
        values["portrait"] = str(path.parent / values["portrait"])
    if len(found.problems) == before:
        found.shots.append(Shot(**values, line=line))


def _frame(name: str, cell: str, line: int, found: ShotList, rate: Fraction | None) -> int | None:
    """A frame's number, written as such or as a timecode."""
    if _WHOLE.fullmatch(cell):
        return int(cell)
    if not cell:
        found.complain(line, f"'{name}' is empty")
    elif not _TIMECODE.fullmatch(cell):
        _complain(found, line, name, cell, "a whole number or a timecode")
    elif rate is None:
        found.complain(line, f"'{name}' is the timecode {cell}: give its frame rate in a column 'fps', or by --fps")
    else:
        try:
            import opentimelineio as otio
        except ModuleNotFoundError:
            found.complain(
                line, f"'{name}' is the timecode {cell} and OpenTimelineIO is missing: give the frame's number"
            )
            return None
        try:
            return otio.opentime.from_timecode(cell, float(rate)).to_frames()
        except ValueError as error:
            found.complain(line, f"'{name}' is no timecode at {rate_text(rate)} frames per second: {error}")
    return None


def _complain(found: ShotList, line: int, name: str, cell: str, wanted: str) -> None:
    found.complain(line, f"'{name}' is {cell[:40]!r}, not {wanted}")


def _take_rate(cell: str, line: int, found: ShotList) -> None:
    try:
        rate = exact_rate(cell)
    except ValueError:
        found.complain(line, f"'fps' is {cell[:40]!r}, not a frame rate")
        return
    if found.rate not in (None, rate):
        found.complain(line, f"{rate_text(rate)} frames per second, line {found.rate_line} has {rate_text(found.rate)}")
    elif found.rate is None:
        found.rate, found.rate_line = rate, line


def write_csv(shots: Sequence[Shot], rate: Fraction, path: Path) -> None:
    """Write shots so that `read_csv` reads the same."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    writer.writerow(COLUMNS)
    written = rate_text(rate) if rate.denominator == 1 else f"{rate.numerator}/{rate.denominator}"
    for shot in shots:
        cells = {name: getattr(shot, name, "") for name in COLUMNS} | {"fps": written}
        unset = {name: "" for name in NUMBERS if not cells[name]} | ({"speed": ""} if shot.speed == 1 else {})
        writer.writerow((cells | unset).values())
    write_file(path, buffer.getvalue())
