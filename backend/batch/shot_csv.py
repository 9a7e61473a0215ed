"""Shot lists as CSV: a header line, then a line per shot. `docs/batch.md` lists the columns."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from backend.batch.rates import exact_rate, rate_text
from backend.batch.shot_lists import ShotList, decode_text
from backend.protocol.files import write_file
from backend.protocol.shots import Shot

NEEDED = ("name", "first", "last")
TEXTS = ("camera", "avatar", "portrait", "quality", "output")
NUMBERS = ("first", "last", "width", "height")
_WHOLE = re.compile(r"[+-]?\d{1,9}", re.ASCII)
MAX_CELLS = 1000
"""In one line."""
COLUMNS = ("name", "camera", "first", "last", "fps", "avatar", "portrait", "width", "height", "quality", "output")


def read_csv(path: Path, data: bytes, found: ShotList, rate: Fraction | None = None) -> None:
    """Add a file's shots and problems to `found`. Commas or semicolons; lines that start with # are left out."""
    text = decode_text(data, found)
    if text is None:
        return
    first = next((line for line in io.StringIO(text) if line.strip() and not line.startswith("#")), "")
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=";" if first.count(";") > first.count(",") else ",")
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
            _read_row(dict(zip(header, map(str.strip, row), strict=False)), len(row) - len(header), here, path, found)
    except csv.Error as error:
        found.complain(rows.line_num, f"is not CSV: {error}")


def _header_is_good(header: list[str], line: int, found: ShotList) -> bool:
    problems = [f"the column '{name}' is missing" for name in NEEDED if name not in header]
    problems += [
        f"there is no column '{name}'; there are: {', '.join(COLUMNS)}" for name in header if name not in COLUMNS
    ]
    problems += [f"the column '{name}' is there twice" for name in sorted({n for n in header if header.count(n) > 1})]
    for sentence in problems:
        found.complain(line, sentence)
    return not problems


def _read_row(cells: dict[str, str], surplus: int, line: int, path: Path, found: ShotList) -> None:
    good = surplus <= 0
    if not good:
        found.complain(line, f"{surplus} more cells than the header has columns")
    values: dict[str, object] = {name: cells.get(name, "") for name in ("name", *TEXTS)}
    for name in NUMBERS:
        cell = cells.get(name, "")
        if not cell and name not in NEEDED:
            continue
        if _WHOLE.fullmatch(cell):
            values[name] = int(cell)
        else:
            found.complain(line, f"'{name}' is {cell[:40]!r}, not a whole number" if cell else f"'{name}' is empty")
            good = False
    if cells.get("fps"):
        good = _take_rate(cells["fps"], line, found) and good
    if values["portrait"]:
        # As written, relative to the list's own folder.
        values["portrait"] = str(path.parent / str(values["portrait"]))
    if good:
        found.shots.append(Shot(**values, line=line))


def _take_rate(cell: str, line: int, found: ShotList) -> bool:
    try:
        rate = exact_rate(cell)
    except ValueError:
        found.complain(line, f"'fps' is {cell[:40]!r}, not a frame rate")
        return False
    if found.rate not in (None, rate):
        found.complain(line, f"{rate_text(rate)} frames per second, line {found.rate_line} has {rate_text(found.rate)}")
        return False
    if found.rate is None:
        found.rate, found.rate_line = rate, line
    return True


def write_csv(shots: Sequence[Shot], rate: Fraction, path: Path) -> None:
    """Write shots so that `read_csv` reads the same."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    writer.writerow(COLUMNS)
    written = rate_text(rate) if rate.denominator == 1 else f"{rate.numerator}/{rate.denominator}"
    for shot in shots:
        cells = {name: getattr(shot, name, "") for name in COLUMNS} | {"fps": written}
        writer.writerow([cells[name] or ("" if name in ("width", "height") else cells[name]) for name in COLUMNS])
    write_file(path, buffer.getvalue())
