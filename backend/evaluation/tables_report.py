"""The tables as JSON, Markdown and one page with plots and pictures."""

from __future__ import annotations

import base64
import html
import io
import json
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image

from backend.evaluation.measures import HIGHER_IS_BETTER, WHOLE
from backend.evaluation.regions import REGIONS
from backend.protocol.errors import TurboPortraitError

matplotlib.use("Agg")
from matplotlib import pyplot as plt

COLUMNS = ("L2", "LPIPS", "PSNR", "SSIM", "FLIP", "ID", "ID portrait", "FID")
DIGITS = {"L2": 4, "PSNR": 2, "FID": 1}
TIMES = {"raw": ("render",), "refined": ("render", "refine"), "25 steps": ("render", "25 steps"),
         "50 steps": ("render", "50 steps")}  # fmt: skip
"""Which times make up the generation of a pair of views."""
WHERE = {WHOLE: "head and neck, all of it", "confident": "where the photo is sure", "doubtful": "where it is not",
         "silhouette": "outlines"}  # fmt: skip
LEAST_SPAN = {"PSNR": 0.6}
MISSING, EMPTY = "not available", "-"

Table = tuple[str, list[str], list[list[str]]]
"""Title, column heads, rows."""


def tables_of(report: dict) -> list[Table]:
    """Everything in the report that is a table."""
    seconds, result = report["seconds"], []
    for region in (WHOLE, *REGIONS):
        methods = report["table1"][region]
        times = region == WHOLE
        rows = [[name, *_cells(values), *(_times(name, seconds) if times else ())] for name, values in methods.items()]
        heads = ["", *COLUMNS, *(("registration (s)", "generation (s)") if times else ())]
        result.append(
            (f"Table 1, {WHERE[region]} ({report['views']} views of {report['identities']} people)", heads, rows)
        )
    for region in (WHOLE, "doubtful"):
        methods = report["first pairs"].get(region, {})
        rows = [[name, *_cells(values), *_times(name, seconds)] for name, values in methods.items()]
        title = f"The same U-Net in one and many steps, {WHERE[region]} ({report['first pairs']['views']} views)"
        result.append((title, ["", *COLUMNS, "registration (s)", "generation (s)"], rows))
    result.append(_simple("Table 2: noise level", "r", report["table2"]))
    result.append(_simple("Views refined together", "V", report["views together"]))
    rotation = report.get("figure6", {})
    rows = [[yaw, name, *_cells(values)] for yaw, methods in rotation.items() for name, values in methods.items()]
    result.append((f"Figure 6: yaw ({report['turned people']} people)", ["yaw", "", *COLUMNS], rows))
    rows = [[what, str(values["pairs"]), *(f"{values[name]:.2f}" for name in ("raw", "refined"))]
            for what, values in report.get("agreement", {}).items()]  # fmt: skip
    result.append(("Difference between views, one warped onto the other (levels of 255)",
                   ["", "pairs", "raw", "refined"], rows))  # fmt: skip
    return [_without_empty_columns(table) for table in result if table[2]]


def write(report: dict, sheets: Mapping[str, np.ndarray], folder: Path) -> None:
    """Save tables.json, tables.md and tables.html.

    Args:
        report: from `Tables.as_dict`, with "figure6", "agreement" and "turned people".
        sheets: caption to picture (H, W, 3) uint8.

    Raises:
        TurboPortraitError: `cannot_write`.
    """
    report = report | {"machine": f"{platform.system()} {platform.machine()}"}
    plots = {"Figure 6": _rotation_plot(report), "Table 2": _noise_plot(report)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "tables.json").write_text(json.dumps(report, indent=2, default=float) + "\n")
        (folder / "tables.md").write_text(markdown(report))
        (folder / "tables.html").write_text(_page(report, plots, sheets))
    except OSError as error:
        raise TurboPortraitError("cannot_write", f"{folder}: {error}") from error


def markdown(report: dict) -> str:
    """All tables, and what is not in them."""
    parts = []
    for title, heads, rows in tables_of(report):
        lines = [f"**{title}**", "", *(f"| {' | '.join(line)} |" for line in (heads, ["---"] * len(heads), *rows)), ""]
        parts.append("\n".join(lines))
    return "\n".join([*parts, *_notes(report)]) + "\n"


def _notes(report: dict) -> list[str]:
    notes = []
    if report["recogniser"]:
        notes.append(f"ID: cosine of embeddings by {report['recogniser']}, with the true view and with the portrait; "
                     "of views whose true picture shows a face that is found.")  # fmt: skip
    if report["ID of strangers"] is not None:
        notes.append(f"Different people's portraits have {report['ID of strangers']:.3f}.")
    notes += [f"{measure} is {MISSING}: it needs {what}." for measure, what in report["not available"].items()]
    return [f"- {note}" for note in notes]


def _simple(title: str, head: str, methods: Mapping[str, Mapping[str, float]]) -> Table:
    return title, [head, *COLUMNS], [[name, *_cells(values)] for name, values in methods.items()]


def _without_empty_columns(table: Table) -> Table:
    title, heads, rows = table
    kept = [i for i in range(len(heads)) if any(row[i] != EMPTY for row in rows)]
    return title, [heads[i] for i in kept], [[row[i] for i in kept] for row in rows]


def _cells(values: Mapping[str, float]) -> list[str]:
    return [f"{values[name]:.{DIGITS.get(name, 3)}f}" if name in values else EMPTY for name in COLUMNS]


def _times(method: str, seconds: Mapping[str, float]) -> tuple[str, str]:
    parts = TIMES.get(method, ())
    known = parts and all(part in seconds for part in parts)
    registration = f"{seconds['register']:.1f}" if known and "register" in seconds else EMPTY
    return registration, f"{sum(seconds[part] for part in parts):.2f}" if known else EMPTY


def _rotation_plot(report: dict) -> bytes | None:
    rotation = report.get("figure6")
    if not rotation:
        return None
    yaws = sorted(rotation, key=int)
    shown = [name for name in ("SSIM", "LPIPS", "FLIP", "ID", "L2") if any(name in rotation[y]["raw"] for y in yaws)]
    figure, axes = plt.subplots(1, len(shown), figsize=(3.6 * len(shown), 3.2), squeeze=False)
    for axis, name in zip(axes[0], shown, strict=True):
        for method in ("raw", "refined"):
            at = [y for y in yaws if name in rotation[y].get(method, {})]
            axis.plot([int(y) for y in at], [rotation[y][method][name] for y in at], "o-", label=method, markersize=4)
        axis.set(
            title=f"{name} {'↑' if name in HIGHER_IS_BETTER else '↓'}",
            xlabel="yaw (degrees)",
            xticks=[-90, -45, 0, 45, 90],
        )
        axis.grid(alpha=0.3)
    axes[0, 0].legend()
    return _png(figure)


def _noise_plot(report: dict) -> bytes | None:
    levels = report["table2"]
    shown = [name for name in ("PSNR", "SSIM", "LPIPS", "FLIP", "ID") if any(name in v for v in levels.values())]
    if not shown:
        return None
    figure, axes = plt.subplots(1, len(shown), figsize=(3.6 * len(shown), 3.2), squeeze=False)
    for axis, name in zip(axes[0], shown, strict=True):
        values = [found.get(name, np.nan) for found in levels.values()]
        axis.plot([float(level) for level in levels], values, "o-")
        # Never so near that differences which mean nothing look large.
        axis.set_ylim(*_about(values, LEAST_SPAN.get(name, 0.02)))
        axis.set(title=f"{name} {'↑' if name in HIGHER_IS_BETTER else '↓'}", xlabel="noise level r")
        axis.grid(alpha=0.3)
    return _png(figure)


def _about(values: Sequence[float], least: float) -> tuple[float, float]:
    low, high = np.nanmin(values), np.nanmax(values)
    beside = max(least - (high - low), 0.1 * (high - low)) / 2
    return low - beside, high + beside


def _png(figure) -> bytes:
    buffer = io.BytesIO()
    figure.tight_layout()
    figure.savefig(buffer, format="png", dpi=110)
    plt.close(figure)
    return buffer.getvalue()


def _page(report: dict, plots: Mapping[str, bytes | None], sheets: Mapping[str, np.ndarray]) -> str:
    body = [f"<h1>Evaluation of {html.escape(report['preset'])}</h1>"]
    for title, heads, rows in tables_of(report):
        body += [
            f"<h2>{html.escape(title)}</h2><table>",
            _row(heads, "th"),
            *(_row(row, "td") for row in rows),
            "</table>",
        ]
    body += [f"<p>{html.escape(note[2:])}</p>" for note in _notes(report)]
    body += [f"<h2>{name}</h2>{_image(data, 'png')}" for name, data in plots.items() if data]
    for caption, sheet in sheets.items():
        buffer = io.BytesIO()
        Image.fromarray(sheet).save(buffer, "JPEG", quality=90)
        body.append(f"<h2>{html.escape(caption)}</h2>{_image(buffer.getvalue(), 'jpeg')}")
    style = (
        "body{font:15px system-ui;margin:2em auto;max-width:1300px;padding:0 1em}table{border-collapse:collapse}"
        "td,th{padding:.25em .7em;border-bottom:1px solid #ddd;text-align:right}td:first-child{text-align:left}"
        "img{max-width:100%}h2{font-size:1.1em;margin-top:2em}"
    )
    return f"<!doctype html><meta charset=utf-8><title>Evaluation</title><style>{style}</style>\n" + "\n".join(body)


def _row(cells: Sequence[str], tag: str) -> str:
    return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"


def _image(data: bytes, kind: str) -> str:
    return f'<img src="data:image/{kind};base64,{base64.b64encode(data).decode()}">'
