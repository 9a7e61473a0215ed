"""Many portraits from several sides, raw and refined, to look at."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
import numpy as np
from PIL import Image

from backend.geometry.orbit import camera_from_side
from backend.photos import read_photo
from backend.photos.saving import save_picture
from backend.pipeline import Pipeline
from backend.protocol.files import write_file
from backend.protocol.pictures import bytes_over_grey

PAGE = "index.html"


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
    cameras = [camera_from_side(tracked.camera, yaw, 0.0, rendering.size) for yaw in rendering.yaws]
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
