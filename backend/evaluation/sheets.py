"""`turboportrait evaluate sheets`: many portraits from several sides, raw and refined, to look at."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import jinja2
import numpy as np
import typer
from PIL import Image
from rich.console import Console
from rich.progress import Progress

from backend.commands.portrait import orbit
from backend.photos import find_photos, read_photo
from backend.picture_files import save_picture
from backend.pipeline import Pipeline
from backend.protocol.errors import TurboPortraitError
from backend.protocol.files import write_file
from backend.protocol.pictures import bytes_over_grey

PAGE = "index.html"
console = Console()


@dataclass(frozen=True)
class Rendering:
    """How every portrait is shown.

    Attributes:
        yaws: degrees; positive shows the person's left side.
        size: pixels of a picture's sides.
        maker, head_model, preset: as `turboportrait models` lists them; without a preset the views stay raw.
    """

    yaws: tuple[float, ...]
    size: int
    maker: str
    head_model: str
    preset: str


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


def sheet_path(output: Path, name: str) -> Path:
    """Where a portrait's sheet lies."""
    return output / "sheets" / f"{name}.jpg"


def write_sheet(pipeline: Pipeline, name: str, photo: Path, rendering: Rendering, output: Path) -> None:
    """Render a portrait and write its pictures, then its sheet: the portrait, and raw above refined views.

    Raises:
        TurboPortraitError: no face and the like; an unknown maker, head model or preset.
    """
    registration = pipeline.register(read_photo(photo), rendering.maker, rendering.head_model, lambda *_: None)
    tracked = registration.avatar.tracked
    cameras = [orbit(tracked.camera, yaw, 0.0, rendering.size) for yaw in rendering.yaws]
    raw = pipeline.render_raw(registration, cameras, tracked.parameters)
    rows = {"raw": [view.rgba for view in raw]}
    if rendering.preset:
        # Each alone, as a single camera's view is refined in use.
        rows["refined"] = pipeline.refine(registration, cameras, tracked.parameters, raw, rendering.preset, joint=False)
    for kind, frames in rows.items():
        for yaw, frame in zip(rendering.yaws, frames, strict=True):
            path = output / kind / f"{yaw:+g}" / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            save_picture(path, bytes_over_grey(frame))
    copy = output / "portraits" / f"{name}{photo.suffix}"
    copy.parent.mkdir(exist_ok=True)
    shutil.copyfile(photo, copy)
    _save_sheet(tracked.image, list(rows.values()), sheet_path(output, name))


def _save_sheet(portrait: np.ndarray, rows: Sequence[Sequence[np.ndarray]], path: Path) -> None:
    views = np.vstack([np.hstack([bytes_over_grey(frame) for frame in row]) for row in rows])
    side = len(rows[0][0])
    column = np.full((len(views), side, 3), 255, np.uint8)
    column[:side] = np.asarray(Image.fromarray(portrait).resize((side, side), Image.Resampling.LANCZOS))
    path.parent.mkdir(exist_ok=True)
    save_picture(path, np.hstack([column, views]))


def write_page(output: Path, names: Sequence[str], failures: dict[str, str]) -> Path:
    """Write the page that shows all sheets and says who has none; its path."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=jinja2.StrictUndefined
    )
    shown = [name for name in names if name not in failures]
    output.mkdir(parents=True, exist_ok=True)
    page = output / PAGE
    write_file(page, environment.get_template("sheets.html.jinja").render(names=shown, failures=failures))
    return page
