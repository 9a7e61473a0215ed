"""turboportrait register and render: a portrait's avatar, and pictures of it, from the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from backend.client import Client, Rendered
from backend.commands.session import BackendOption, KeysOption, backend_client
from backend.geometry.orbit import camera_from_side
from backend.photos import read_photo
from backend.protocol.messages import Registered, View
from backend.protocol.pictures import bytes_over_grey

Portrait = Annotated[Path, typer.Argument(help="An image file that shows a face from the front.", dir_okay=False)]
Maker = Annotated[str, typer.Option(help="Avatar maker; `turboportrait models` lists them.")]
FaceNumber = Annotated[
    int, typer.Option("--face", min=0, help="Of several faces, counted from 1 at the left; 0 for the largest.")
]
HeadModelName = Annotated[str, typer.Option("--head-model", help="Head model; `turboportrait models` lists them.")]
console = Console(stderr=True)


def register(
    portrait: Portrait,
    preview: Annotated[Path | None, typer.Option(help="Save the portrait beside its avatar here (PNG).")] = None,
    maker: Maker = "bust",
    head_model: HeadModelName = "open_head",
    face: FaceNumber = 0,
    backend: BackendOption = "",
    keys: KeysOption = None,
) -> None:
    """Make an avatar from a portrait, print what it is, and save a preview."""
    photo = read_photo(portrait)
    preview = preview or Path(f"{portrait.stem}_avatar.png")
    with backend_client(backend, keys) as client:
        found = _register(client, photo, maker, head_model, face)
        front = client.render(found.avatar, found.parameters, [View("portrait", found.camera)], refined=False)
    _print(found)
    _save(np.hstack([bytes_over_grey(found.reference), bytes_over_grey(front.raw["portrait"].rgba)]), preview)


def render(
    portrait: Portrait,
    yaw: Annotated[
        list[float] | None, typer.Option(help="Degrees to turn the camera about the head; repeat it.")
    ] = None,
    pitch: Annotated[float, typer.Option(help="Degrees to raise the camera.")] = 0.0,
    size: Annotated[int, typer.Option(min=16, max=8192, help="Pixels along both sides.")] = 512,
    output: Annotated[Path, typer.Option(help="Folder for the pictures.")] = Path("."),
    refined: Annotated[bool, typer.Option("--refined/--raw", help="Refine the views, all together.")] = True,
    preset: Annotated[str, typer.Option(help="Refiner preset; `turboportrait models` lists them.")] = "compact",
    noise_level: Annotated[float, typer.Option(min=0.0, max=1.0, help="How far the refiner may depart.")] = 0.1,
    maker: Maker = "bust",
    head_model: HeadModelName = "open_head",
    face: FaceNumber = 0,
    backend: BackendOption = "",
    keys: KeysOption = None,
) -> None:
    """Render a portrait from one or several sides to PNG files with alpha."""
    photo = read_photo(portrait)
    yaws = yaw or [0.0]
    with backend_client(backend, keys) as client:
        found = _register(client, photo, maker, head_model, face)
        cameras = [camera_from_side(found.camera, angle, pitch, size) for angle in yaws]
        views = [View(f"{angle:+g}", camera) for angle, camera in zip(yaws, cameras, strict=True)]
        result: Rendered = client.render(
            found.avatar,
            found.parameters,
            views,
            raw=not refined,
            refined=refined,
            preset=preset,
            noise_level=noise_level,
        )
    for sentence in result.warnings:
        console.print(f"[yellow]warning:[/] {sentence}")
    for key, view in (result.refined or result.raw).items():
        _save(view.rgba, output / f"{portrait.stem}_yaw{key}.png")
    console.print(", ".join(f"{stage} {seconds:.2f} s" for stage, seconds in result.timings.items()))


def _register(client: Client, photo: bytes, maker: str, head_model: str, face: int) -> Registered:
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("waiting for the backend", total=1.0)
        return client.register(
            photo,
            maker,
            head_model,
            face=face,
            on_progress=lambda fraction, stage: bar.update(task, completed=fraction, description=stage),
        )


def _print(found: Registered) -> None:
    table = Table(show_header=False, box=None)
    table.add_row("avatar", found.avatar)
    table.add_row("maker", found.maker)
    table.add_row("head model", f"{found.head_model} (sha256 {found.head_model_checksum[:16]}…)")
    expression = np.array(found.parameters.expression)
    table.add_row("expression", f"{int((np.abs(expression) > 0.1).sum())} of {len(expression)} coefficients over 0.1")
    for notice in found.warnings:
        table.add_row("warning", f"{notice.sentence} ({notice.code})")
    console.print(table)


def _save(image: np.ndarray, path: Path) -> None:
    from backend.photos.saving import save_picture

    save_picture(path, image)
    typer.echo(str(path))
