"""`turboportrait evaluate`: figures about the refiner, the parser and whole portraits, as tables and as JSON."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from backend.commands.evaluate_people import people
from backend.commands.evaluate_performance import performance
from backend.commands.evaluate_tracking import tracking
from backend.evaluation.flicker import FRAMES, measure
from backend.evaluation.parser_figures import measure_people, measure_portraits, portraits_of_fold, summary
from backend.evaluation.portraits import real_portraits
from backend.evaluation.sheets import Rendering, sheet_path, write_page, write_sheet
from backend.people.parsing.pictures import read_pictures
from backend.people.parsing.portraits import HairTeacher
from backend.people.shards import is_held_out
from backend.photos import find_photos
from backend.pipeline import Pipeline
from backend.protocol.errors import TurboPortraitError
from backend.protocol.files import write_file
from backend.tracking.parser import NETWORK, PortraitParser

app = typer.Typer(help="Measure what the documents claim.", no_args_is_help=True)
app.command()(tracking)
app.command()(performance)
app.command()(people)
WIDTH = 160
"""Columns where no terminal has a width."""
console = Console(width=None if sys.stdout.isatty() else WIDTH)


@app.command()
def tables(
    corpus: Annotated[Path, typer.Argument(help="Folder of shards; the held-out ones are used.")] = Path("data/corpus"),
    preset: Annotated[str, typer.Option(help="A refiner preset, or a refiner's folder.")] = "compact",
    output: Annotated[Path, typer.Option(help="Folder for tables.json, .md, .html and the pictures.")] = Path(
        "runs/tables"
    ),
    identities: Annotated[
        int | None, typer.Option(min=1, help="So many held-out people, drawn at random; else all.")
    ] = None,
    leave_out: Annotated[
        int,
        typer.Option(
            min=0, help="Leave the first so many drawn out, whom something was chosen by: the others are a blind test."
        ),
    ] = 0,
    multistep: Annotated[int, typer.Option(min=0, help="The multi-step baseline on the first so many of them.")] = 2,
    orbit: Annotated[int, typer.Option(min=0, help="Frames that flicker is measured on; 0: none.")] = 48,
    portraits: Annotated[bool, typer.Option(help="The real portraits as well.")] = True,
    views: Annotated[
        list[str] | None,
        typer.Option(help="NAME=FOLDER: views that another system made of `data export-tasks`, as a row of Table 1."),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Table 1, Table 2, several V and the portraits only.")] = False,
) -> None:
    """All that is asked of a refiner: asked and measured, Tables 1 and 2, Figure 6, real portraits, flicker."""
    from backend.evaluation import documents, tables_report
    from backend.evaluation.full_report import Extent, measure_all
    from backend.evaluation.targets import targets_of
    from backend.people.tasks import parse_views
    from backend.refiner import Refiner, available_presets
    from backend.refiner.config import preset_folder

    try:
        given = tuple(parse_views(text) for text in views or ())
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--views") from error
    known = preset in available_presets()
    refiner = (Refiner.from_preset if known else Refiner.from_pretrained)(preset)
    if quick:
        multistep = orbit = 0
    extent = Extent(identities, leave_out, multistep, orbit, portraits, given)
    with Progress(console=console) as progress:
        report, pictures = measure_all(refiner, corpus, extent, progress)
    folder = preset_folder(preset) if known else Path(preset)
    report |= {"preset": preset} | ({"weights MB": _megabytes(folder)} if folder.is_dir() else {})
    report["targets"] = [asdict(target) for target in targets_of(report)]
    documents.write(report, pictures, output)
    for table in tables_report.tables_of(report):
        shown = Table(*table.heads, title=table.title)
        for row in table.rows:
            shown.add_row(*row)
        console.print(shown)
    for note in tables_report.notes_of(report):
        console.print(f"- {note}", highlight=False, soft_wrap=True)
    console.print(f"{report['took'] / 60:.1f} minutes. JSON, Markdown, a page and pictures are in {output}.")


@app.command()
def document(
    report: Annotated[Path, typer.Argument(help="What `evaluate tables` or `evaluate performance` wrote.")] = Path(
        "runs/tables/tables.json"
    ),
    page: Annotated[Path, typer.Argument(help="A Markdown document with places for tables.")] = Path(
        "docs/evaluation.md"
    ),
) -> None:
    """Put a report's tables and pictures into a document, in their places there."""
    from backend.evaluation import documents

    try:
        found = json.loads(report.read_text())
    except (OSError, ValueError) as error:
        raise TurboPortraitError("bad_report", f"{report}: {error}") from error
    try:
        if "people" in found:
            documents.fill_performances(page, found)
            console.print(f"{page} has the figures of {report} now.")
            return
        left = documents.fill(page, found)
    except (KeyError, TypeError) as missing:
        raise TurboPortraitError("bad_report", f"{report} is not of this version: {missing}") from missing
    pictures = documents.place_pictures(page, report.parent)
    console.print(f"{page} has the tables of {report} now, and {len(pictures)} pictures: {', '.join(pictures)}.")
    if left:
        console.print(f"It has no place for: {', '.join(left)}.")


@app.command()
def flicker(
    preset: Annotated[str, typer.Option(help="A refiner preset.")] = "compact",
    noise_level: Annotated[float, typer.Option(help="How far the refiner may leave the raw view.")] = 0.1,
    frames: Annotated[int, typer.Option(min=2, help="Length of the sequences.")] = FRAMES,
    output: Annotated[Path | None, typer.Option(help="Write the figures here as JSON.")] = None,
) -> None:
    """Flicker and sharpness of the two real portraits in motion: raw, refined, and refined with the frame before."""
    pipeline = Pipeline()
    figures = {}
    for name, photo in real_portraits().items():
        registration = pipeline.register(photo, "bust", "open_head", lambda *_: None)
        figures[name] = measure(pipeline, registration, preset, noise_level, frames)
    table = Table(title=f"{frames} frames of a turn, a nod and an opening mouth; {preset}, noise level {noise_level}")
    for column in ("portrait", "", "flicker", "sharpness", "ms a frame"):
        table.add_column(column)
    for name, ways in figures.items():
        for way, found in ways.items():
            cells = f"{found.flicker:.3f}", f"{found.sharpness:.3f}", f"{1000 * found.seconds:.0f}"
            table.add_row(name, way.replace("_", " "), *cells)
    Console().print(table)
    if output:
        report = {name: {way: asdict(found) for way, found in ways.items()} for name, ways in figures.items()}
        write_file(output, json.dumps(report, indent=2) + "\n")


@app.command()
def regions(
    corpus: Annotated[Path, typer.Argument(help="Folder of `train parser-corpus`; its held-out people are used.")],
    portraits: Annotated[Path | None, typer.Option(help="Folder of photos, for hair beside the teacher.")] = None,
    teacher: Annotated[Path | None, typer.Option(help="MediaPipe's hair_segmentation.tflite.")] = None,
    network: Annotated[Path, typer.Option(help="The parser, an ONNX file of `train parser`.")] = NETWORK,
    folds: Annotated[
        Path | None,
        typer.Option(help="Folder of runs fold_0, fold_1, ...: each judges the portraits that it left out."),
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Write the figures here as JSON.")] = None,
) -> None:
    """Overlap of classes, boundary of eyewear, errors of alpha and colour; hair of portraits beside the teacher."""
    held_out = [p for p in read_pictures(corpus / "people") if is_held_out(int(p.group))]
    if not held_out:
        raise TurboPortraitError("bad_corpus", f"{corpus / 'people'} has no held-out people")
    figures: dict[str, dict[str, Any]] = {"people": measure_people(PortraitParser(network), held_out)}
    if portraits is not None and teacher is not None:
        hair = HairTeacher(teacher)
        photos = find_photos(portraits)
        if folds is None:
            found = measure_portraits(PortraitParser(network), photos, hair)
        else:
            found = {}
            for run in sorted(folds.glob("fold_*")):
                own = portraits_of_fold(list(photos), int(run.name.removeprefix("fold_")))
                parser = PortraitParser(run / "parser" / "parser.onnx")
                found |= measure_portraits(parser, {name: photos[name] for name in own}, hair)
        figures["portraits"] = summary(found)
    for title, rows in figures.items():
        table = Table("", "figure", title=title)
        for name, value in rows.items():
            if not isinstance(value, dict):
                table.add_row(name, f"{value:.3f}")
        console.print(table)
    if output:
        write_file(output, json.dumps(figures, indent=2) + "\n")


@app.command()
def sheets(
    portraits: Annotated[Path, typer.Option(help="Folder of photos, searched with its subfolders.", exists=True)],
    output: Annotated[Path, typer.Option(help="Folder for pictures, sheets and the page.")],
    yaws: Annotated[str, typer.Option(help="Degrees to turn the camera, with commas between.")] = "-35,0,35",
    size: Annotated[int, typer.Option(min=64, max=2048, help="Pixels along both sides.")] = 512,
    preset: Annotated[str, typer.Option(help="Refiner preset; '' for raw views alone.")] = "compact",
    maker: Annotated[str, typer.Option(help="Avatar maker; `turboportrait models` lists them.")] = "bust",
    head_model: Annotated[str, typer.Option(help="Head model; `turboportrait models` lists them.")] = "open_head",
    most: Annotated[int | None, typer.Option(min=1, help="Only the first so many portraits.")] = None,
) -> None:
    """Show portraits from several sides: pictures, a sheet of each and a page. What has its sheet is not made again.

    The pictures lie in raw/YAW and refined/YAW, by the portraits' names, so that two runs can be compared file by file.
    """
    try:
        angles = tuple(float(yaw) for yaw in yaws.split(","))
    except ValueError as error:
        raise typer.BadParameter(f"{yaws!r} are no degrees with commas between", param_hint="--yaws") from error
    photos = dict(list(find_photos(portraits).items())[:most])
    if not photos:
        raise typer.BadParameter(f"{portraits} holds no photos", param_hint="--portraits")
    rendering = Rendering(angles, size, maker, head_model, preset)
    pipeline = Pipeline()
    failures = {}
    with Progress(console=console) as progress:
        for name, path in progress.track(photos.items(), description="portraits"):
            if sheet_path(output, name).is_file():
                continue
            try:
                write_sheet(pipeline, name, path, rendering, output)
            except TurboPortraitError as error:
                failures[name] = str(error)
                progress.console.print(f"{name}: {error}", markup=False)
    page = write_page(output, list(photos), failures)
    console.print(f"{len(photos) - len(failures)} portraits have sheets, {len(failures)} have none; see {page}")


def _megabytes(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*.safetensors")) / 1e6
