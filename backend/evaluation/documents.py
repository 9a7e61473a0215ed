"""A report as JSON, Markdown and one page; and its tables in a document that is kept by hand."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from backend.evaluation.performance_report import performance_table
from backend.evaluation.tables_report import Table, notes_of, tables_of
from backend.photos.saving import save_picture
from backend.protocol.files import write_file

STYLE = (
    "body{font:15px system-ui;margin:2em auto;max-width:1400px;padding:0 1em}table{border-collapse:collapse}"
    "td,th{padding:.25em .7em;border-bottom:1px solid #ddd;text-align:right}td:first-child{text-align:left}"
    "h2{font-size:1.1em;margin-top:2em}"
)
BLOCK = re.compile(r"(<!-- (table|notes|setup)(?:: ([\w-]+))? -->\n).*?(<!-- end -->)", re.DOTALL)
PERFORMANCES = re.compile(r"(<!-- performances -->\n).*?(<!-- end -->)", re.DOTALL)
SHOWN = re.compile(r"!\[[^]]*]\(([\w/.-]+\.jpg)\)")

Pictures = Mapping[str, tuple[str, np.ndarray]]
"""File stem to caption and picture (H, W, 3) uint8."""


def write(report: dict, pictures: Pictures, folder: Path) -> None:
    """Save tables.json, tables.md, tables.html and the pictures as PNG.

    Raises:
        TurboPortraitError: as `atomic_file`.
    """
    for stem, (_, picture) in pictures.items():
        save_picture(folder / f"{stem}.png", picture)
    captions = {stem: caption for stem, (caption, _) in pictures.items()}
    write_file(folder / "tables.json", json.dumps(report, indent=2, default=float) + "\n")
    write_file(folder / "tables.md", _markdown(report, captions))
    write_file(folder / "tables.html", _page(report, captions))


def fill(document: Path, report: dict) -> list[str]:
    """Put a report's tables into a Markdown document, between `<!-- table: KEY -->` and `<!-- end -->`.

    `<!-- notes -->` and `<!-- setup -->` are filled likewise. What the report has no table for is said there.

    Returns:
        The keys of the tables that the document does not ask for.

    Raises:
        TurboPortraitError: as `atomic_file`.
    """
    tables = {table.key: table for table in tables_of(report)}
    asked = set()

    def block(match: re.Match) -> str:
        opening, kind, key, closing = match.groups()
        asked.add(key)
        if kind == "setup":
            text = _setup(report)
        elif kind == "notes":
            text = _list(notes_of(report))
        elif key in tables:
            text = _lines(tables[key])
        else:
            text = "Not measured."
        return f"{opening}\n{text}\n\n{closing}"

    write_file(document, BLOCK.sub(block, document.read_text()))
    return [key for key in tables if key not in asked]


def fill_performances(document: Path, report: dict) -> None:
    """Put a report of `evaluate performance` into a document, between `<!-- performances -->` and `<!-- end -->`.

    Raises:
        TurboPortraitError: as `atomic_file`.
    """
    text = f"Measured: {report['machine']}.\n\n{_lines(performance_table(report))}"
    write_file(document, PERFORMANCES.sub(lambda match: f"{match[1]}\n{text}\n\n{match[2]}", document.read_text()))


def place_pictures(document: Path, folder: Path) -> list[str]:
    """Bring the pictures that a document shows as `.../STEM.jpg` up to date, where a folder has STEM.png.

    Returns:
        The names of those that were.

    Raises:
        TurboPortraitError: as `atomic_file`.
    """
    placed = []
    for match in SHOWN.finditer(document.read_text()):
        target = document.parent / match[1]
        source = folder / f"{target.stem}.png"
        if source.is_file():
            save_picture(target, np.asarray(Image.open(source, formats=["PNG"]).convert("RGB")), quality=88)
            placed.append(target.name)
    return placed


def _setup(report: dict) -> str:
    return (
        f"Measured: `{report['preset']}`, {report['views']} views of {report['identities']} held-out people; "
        f"{report['machine']}; {report['took'] / 60:.0f} minutes in all."
    )


def _markdown(report: dict, captions: Mapping[str, str]) -> str:
    parts = [f"# Evaluation of {report['preset']}", "", _setup(report), ""]
    for table in tables_of(report):
        parts += [f"## {table.title}", "", _lines(table), ""]
    parts += ["## Notes", "", _list(notes_of(report)), ""]
    for stem, caption in captions.items():
        parts += [f"## {caption}", "", f"![{caption}]({stem}.png)", ""]
    return "\n".join(parts)


def _lines(table: Table) -> str:
    lines = (table.heads, ["---"] * len(table.heads), *table.rows)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _list(notes: Sequence[str]) -> str:
    return "\n".join(f"- {note}" for note in notes)


def _page(report: dict, captions: Mapping[str, str]) -> str:
    title = f"Evaluation of {html.escape(report['preset'])}"
    body = [f"<h1>{title}</h1><p>{html.escape(_setup(report)).replace('`', '')}</p>"]
    for table in tables_of(report):
        rows = "\n".join(_row(row, "td") for row in table.rows)
        body.append(f"<h2>{html.escape(table.title)}</h2><table>{_row(table.heads, 'th')}\n{rows}</table>")
    body += [f"<p>{html.escape(note)}</p>" for note in notes_of(report)]
    body += [f'<h2>{html.escape(caption)}</h2><img src="{stem}.png">' for stem, caption in captions.items()]
    return f"<!doctype html><meta charset=utf-8><title>{title}</title><style>{STYLE}</style>\n" + "\n".join(body)


def _row(cells: Sequence[str], tag: str) -> str:
    return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"
