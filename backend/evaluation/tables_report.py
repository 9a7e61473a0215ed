"""The tables of a report, ours beside the paper's, and what is not in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from backend.evaluation import paper
from backend.evaluation.by_person import MEASURES
from backend.evaluation.figures import shown, signed
from backend.evaluation.regions import INSIDE, REGIONS, WHOLE
from backend.evaluation.targets import targets_of
from backend.evaluation.views import BLIND, BLURS, UNATTENDED

COLUMNS = ("IoU", "L2", "LPIPS", "PSNR", "SSIM", "FLIP", "ID", "ID portrait", "FID")
SHORT = ("PSNR", "SSIM", "FLIP")
TIMES = {"raw": ("render",), "refined": ("render", "refine"), "25 steps": ("render", "25 steps"),
         "50 steps": ("render", "50 steps")}  # fmt: skip
"""Which times make up the generation of a pair of views."""
WHERE = {
    INSIDE: "head and neck inside both outlines",
    WHOLE: "head and neck with their outlines",
    "confident": "where the photo is sure",
    "doubtful": "where it is not sure",
    "silhouette": "outlines",
}
REACHED = {True: "yes", False: "no", None: "-"}
MISSING, EMPTY = "not available", "-"


class Table(NamedTuple):
    """A table to be shown; `key` names it in documents."""

    key: str
    title: str
    heads: list[str]
    rows: list[list[str]]


def tables_of(report: dict) -> list[Table]:
    """Everything in the report that is a table; those without rows and columns without values are left out."""
    found = [
        _targets(report),
        *(_table1(report, region) for region in (INSIDE, WHOLE)),
        _gains(report),
        _by_person(report),
        _regions(report),
        *(_steps(report, region) for region in (INSIDE, "doubtful")),
        _table2(report),
        _simple(
            "views",
            f"Views refined together, {WHERE[INSIDE]} ({report['table2 views']} views)",
            "V",
            report["views together"],
        ),
        _rotation(report),
        _bands(report),
        _flicker(report),
        *_portraits(report),
    ]
    return [_without_empty_columns(table) for table in found if table.rows]


def notes_of(report: dict) -> list[str]:
    """What has to be known beside the tables, a sentence each."""
    notes = []
    if report["recogniser"]:
        notes.append(f"ID: cosine of embeddings by {report['recogniser']}, with the true view or the portrait, of "
                     "views whose true picture shows a face that is found; ID and FID are of whole views.")  # fmt: skip
    if report["ID of strangers"] is not None:
        notes.append(f"Different people's portraits have an ID of {report['ID of strangers']:.3f}.")
    if report.get("weights MB"):
        notes.append(f"{report['preset']}: {report['weights MB']:.1f} MB of weights.")
    notes += [f"{measure} is {MISSING}: it needs {what}." for measure, what in report["not available"].items()]
    return notes


def _targets(report: dict) -> Table:
    rows = [[t.what, t.asked, t.measured, REACHED[t.reached]] for t in targets_of(report)]
    return Table("targets", "What was asked and what is reached", ["", "asked", "measured", "reached"], rows)


def _table1(report: dict, region: str) -> Table:
    rows = _timed(report["table1"][region], report["seconds"])
    for name, values in paper.TABLE1.items() if region == INSIDE else ():
        times = ("-" if value is None else f"{value:g}" for value in paper.SECONDS[name])
        rows.append([f"paper: {name}", *_cells(values), *times])
    title = f"Table 1, {WHERE[region]} ({report['views']} views of {report['identities']} people)"
    return Table(f"table1-{region}", title, ["", *COLUMNS, "registration (s)", "generation (s)"], rows)


def _gains(report: dict) -> Table:
    """What refining gains over raw: ours and the paper's, the figures that can be compared."""
    rows = []
    for name in ("PSNR", "SSIM", "ID", "LPIPS", "FLIP", "FID"):
        methods = {"ours": report["table1"][INSIDE], "paper": paper.TABLE1}
        names = {"ours": ("raw", "refined"), "paper": (paper.RAW, paper.REFINED)}
        cells = []
        for whose, table in methods.items():
            raw, refined = (table.get(method, {}).get(name) for method in names[whose])
            cells.append(EMPTY if raw is None or refined is None else signed(name, refined - raw))
        rows.append([name, *cells])
    return Table("gains", "What refining adds to raw, inside both outlines", ["", "ours", "the paper's"], rows)


def _by_person(report: dict) -> Table:
    rows = [
        [f"over {other}, {WHERE[region]}", *(_gain(name, found.get(name)) for name in MEASURES)]
        for other, regions in report["by person"].items()
        for region, found in regions.items()
    ]
    title = "What refining gains of each person: mean ± its standard error, and how many people gain"
    return Table("by-person", title, ["", *MEASURES], rows)


def _gain(measure: str, found: Mapping[str, float] | None) -> str:
    if found is None:
        return EMPTY
    mean, error = signed(measure, found["mean"]), shown(measure, found["error"])
    return f"{mean} ± {error} ({found['better']} of {found['people']})"


def _regions(report: dict) -> Table:
    names = [name for name in SHORT if any(name in values for values in report["table1"][INSIDE].values())]
    methods = list(report["table1"][INSIDE])
    rows = [[method, *(_joined(report["table1"][region].get(method, {}), names) for region in REGIONS)]
            for method in methods]  # fmt: skip
    return Table("regions", f"By region: {' / '.join(names)}", ["", *(WHERE[region] for region in REGIONS)], rows)


def _steps(report: dict, region: str) -> Table:
    rows = _timed(report["first pairs"].get(region, {}), report["seconds"] if region == INSIDE else {})
    title = f"The same U-Net in one and many steps, {WHERE[region]} ({report['first pairs']['views']} views)"
    return Table(f"steps-{region}", title, ["", *COLUMNS, "registration (s)", "generation (s)"], rows)


def _table2(report: dict) -> Table:
    heads = [*COLUMNS, *(f"paper: {name}" for name in ("PSNR", "SSIM", "LPIPS", "ID"))]
    rows = []
    for level, values in report["table2"].items():
        theirs = [f"{paper.TABLE2[level][name]:.3f}" for name in ("PSNR", "SSIM", "LPIPS", "ID")]
        rows.append([level, *_cells(values), *theirs])
    return Table(
        "table2", f"Table 2: noise level, {WHERE[INSIDE]} ({report['table2 views']} views)", ["r", *heads], rows
    )


def _rotation(report: dict) -> Table:
    found = {yaw: tables[INSIDE] for yaw, tables in report.get("figure6", {}).items()}
    rows = [[f"{yaw}°", name, *_cells(values)] for yaw, methods in found.items() for name, values in methods.items()]
    title = f"Figure 6: yaw to 15 degrees, {WHERE[INSIDE]}"
    return Table("figure6", title, ["", "", *COLUMNS], rows)


def _bands(report: dict) -> Table:
    rows = [
        [f"to {band}°, {tables['views']} views", name, *_cells(values), _cell(tables[INSIDE].get(name, {}), "PSNR")]
        for band, tables in report.get("bands", {}).items()
        for name, values in tables[WHOLE].items()
        if name not in (*BLURS, BLIND, UNATTENDED)
    ]
    title = f"By band of yaw off the portrait's view, {WHERE[WHOLE]} ({report['identities']} people)"
    return Table("bands", title, ["", "", *COLUMNS, "PSNR inside both"], rows)


def _flicker(report: dict) -> Table:
    flicker = [[name, str(v["pairs"]), f"{v['raw']:.2f}", f"{v['refined']:.2f}", f"{v['ratio']:.2f}"]
               for name, v in report.get("flicker", {}).items()]  # fmt: skip
    title = f"Flicker: neighbours of {report.get('orbit frames', 0)} frames of an orbit, warped, levels of 255"
    return Table("flicker", title, ["", "pairs", "raw", "refined", "ratio"], flicker)


def _portraits(report: dict) -> list[Table]:
    people = report.get("portraits", {})
    regions = list(dict.fromkeys(region for found in people.values() for region in found["frontal"]))
    yaws = sorted({yaw for found in people.values() for yaw in found["likeness"]}, key=int)
    frontal, likeness = [], []
    for name, found in people.items():
        for method in ("raw", "refined"):
            values = [found["frontal"].get(region, {}).get(method, {}) for region in regions]
            frontal.append([f"{name}, {method}", *(_joined(measured, SHORT) for measured in values)])
            cosines = [found["likeness"].get(yaw, {}).get(method) for yaw in yaws]
            likeness.append([f"{name}, {method}", *(EMPTY if c is None else f"{c:.3f}" for c in cosines)])
    heads = WHERE | {INSIDE: "inside the matte"}
    return [
        Table("portraits-frontal", "Real portraits, their own view against the photo: PSNR / SSIM / FLIP",
              ["", *(heads[region] for region in regions)], frontal),
        Table("portraits-likeness", "Real portraits, ID with the portrait by yaw",
              ["", *(f"{yaw}°" for yaw in yaws)], likeness if yaws else []),
    ]  # fmt: skip


def _simple(key: str, title: str, head: str, methods: Mapping[str, Mapping[str, float]]) -> Table:
    return Table(key, title, [head, *COLUMNS], [[name, *_cells(values)] for name, values in methods.items()])


def _timed(methods: Mapping[str, Mapping[str, float]], seconds: Mapping[str, float]) -> list[list[str]]:
    return [[name, *_cells(values), *_times(name, seconds)] for name, values in methods.items()]


def _without_empty_columns(table: Table) -> Table:
    kept = [i for i in range(len(table.heads)) if any(row[i] != EMPTY for row in table.rows)]
    rows = [[row[i] for i in kept] for row in table.rows]
    return table._replace(heads=[table.heads[i] for i in kept], rows=rows)


def _cells(values: Mapping[str, float]) -> list[str]:
    return [_cell(values, name) for name in COLUMNS]


def _joined(values: Mapping[str, float], names) -> str:
    return " / ".join(_cell(values, name) for name in names)


def _cell(values: Mapping[str, float], name: str) -> str:
    return shown(name, values[name]) if name in values else EMPTY


def _times(method: str, seconds: Mapping[str, float]) -> tuple[str, str]:
    parts = TIMES.get(method, ())
    known = parts and all(part in seconds for part in parts)
    registration = f"{seconds['register']:.1f}" if known and "register" in seconds else EMPTY
    return registration, f"{sum(seconds[part] for part in parts):.2f}" if known else EMPTY
