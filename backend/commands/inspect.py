"""`turboportrait inspect`: what is understood of a photo, so that one sees why a head looks wrong."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from backend.commands.performance import errors_as_json

console = Console(stderr=True)


def inspect(
    photo: Annotated[Path, typer.Argument(help="An image file.", dir_okay=False)],
    output: Annotated[Path | None, typer.Option(help="Save the picture here (PNG or JPEG).")] = None,
    regions: Annotated[
        Path | None,
        typer.Option(
            help="Save the regions here (PNG): 0 background, 1 skin, 2 hair, 3 headwear, 4 clothing, 5 eyewear for "
            "each pixel of the photo."
        ),
    ] = None,
    face: Annotated[int, typer.Option(min=0, help="Of several faces, counted from 1 at the left.")] = 0,
    head_model: Annotated[str, typer.Option(help="Head model; `turboportrait models` lists them.")] = "open_head",
    as_json: Annotated[bool, typer.Option("--json", help="Say what is wrong as a line of JSON.")] = False,
) -> None:
    """Show a photo's crop, landmarks, regions and matte in one picture, and print what was found."""
    with errors_as_json() if as_json else contextlib.nullcontext():
        _inspect(photo, output, regions, face, head_model)


def _inspect(photo: Path, output: Path | None, regions: Path | None, face: int, head_model: str) -> None:
    from backend.photos import decode_photo, read_photo
    from backend.photos.saving import save_picture
    from backend.pipeline.catalog import Catalog
    from backend.tracking import track
    from backend.tracking.inspection import inspection_picture, regions_in_photo
    from backend.tracking.parser import CLASSES

    data = read_photo(photo)
    tracked = track(data, Catalog.default().head_model(head_model), number=face)
    pixels = np.ascontiguousarray(np.rot90(decode_photo(data).rgb, tracked.turns))
    height, width = pixels.shape[:2]
    scale = tracked.from_photo[0, 0]
    face_height = np.ptp(tracked.landmarks[:468, 1]) / scale
    table = Table(show_header=False, box=None)
    table.add_row("photo", f"{width} x {height} pixels")
    table.add_row(
        "face", f"{face_height:.0f} pixels high, landmarks met to {np.median(tracked.residual) / scale:.1f} pixels"
    )
    table.add_row("crop", f"{len(tracked.image) / scale:.0f} pixels wide, {tracked.valid.mean():.0%} inside the photo")
    shares = tracked.regions.probabilities[tracked.valid].mean(0)
    table.add_row("regions", ", ".join(f"{name} {share:.0%}" for name, share in zip(CLASSES, shares, strict=True)))
    for code, sentence in tracked.warnings:
        table.add_row("warning", f"{sentence} ({code})")
    console.print(table)
    output = output or Path(f"{photo.stem}_inspected.png")
    save_picture(output, inspection_picture(pixels, tracked))
    typer.echo(str(output))
    if regions is not None:
        save_picture(regions, np.rot90(regions_in_photo(tracked, height, width), -tracked.turns))
        typer.echo(str(regions))
