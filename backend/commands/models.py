"""turboportrait models: what can be chosen by name, whether it is ready, and installing more."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from backend.models.folders import models_folder
from backend.protocol.errors import TurboPortraitError

models = typer.Typer(help="List head models, avatar makers and refiner presets; install more.")
add = typer.Typer(help="Install a model from a file, a folder or its publisher.", no_args_is_help=True)
models.add_typer(add, name="add")

_FLAME_LICENCE = "FLAME's (yours)"
_OWN_LICENCE = "your own"
Accept = Annotated[bool, typer.Option("--accept-licence", help="Agree to the licence that is shown.")]
Download = Annotated[bool, typer.Option("--download", help="Fetch it from its publisher.")]
Name = Annotated[str, typer.Option("--name", help="What to call it.")]
Source = Annotated[Path, typer.Argument(help="Where it is on this machine.", show_default=False)]
MaybeSource = Annotated[Path | None, typer.Argument(help="Where it is on this machine.", show_default=False)]


@models.callback(invoke_without_command=True)
def show(context: typer.Context) -> None:
    """List head models, avatar makers and refiner presets; install more."""
    if context.invoked_subcommand is None:
        list_models()


@models.command("list")
def list_models(
    verify: Annotated[bool, typer.Option(help="Compare the installed files with their checksums.")] = False,
) -> None:
    """What there is, whether it is ready, its checksum and its licence."""
    from backend.pipeline.installed import entries

    table = Table(box=None)
    for heading in ("kind", "name", "state", "sha256", "licence"):
        table.add_column(heading, overflow="fold")
    for entry in entries(verify):
        table.add_row(entry.kind, entry.name, entry.state, entry.checksum, entry.licence)
    console = Console()
    console.print(table)
    console.print(f"Installed models lie in {models_folder()}; `turboportrait models add` adds more.", soft_wrap=True)


@models.command("sources")
def list_sources() -> None:
    """Where published models come from, and under which licence."""
    from backend.models.sources import load_sources

    for name, source in load_sources().items():
        typer.echo(f"{name}: {source.title}\n  {source.page}")
        _show_licence(source)


@models.command()
def remove(
    kind: Annotated[str, typer.Argument(help="flame, gpavatar, sd-turbo or refiner.")],
    name: Annotated[str, typer.Argument(help="Of the head model or refiner.")] = "",
) -> None:
    """Take an installed model away."""
    from backend.pipeline.installed import remove as take_away

    take_away(kind, name)
    typer.echo(f"removed {kind} {name}".strip())


@add.command()
def gpavatar(path: MaybeSource = None, download: Download = False, accept_licence: Accept = False) -> None:
    """GPAvatar's published one_model.ckpt, checked and converted once."""
    from backend.models.gpavatar import install_gpavatar
    from backend.models.sources import load_sources

    source = load_sources()["gpavatar"]
    _check_one_of(path, download)
    if path is None:
        folder = _fetch("gpavatar", accept_licence)
        record = install_gpavatar(folder / source.files[0].path, source.licence.name)
        shutil.rmtree(folder)
    else:
        _show_licence(source)
        record = install_gpavatar(path, source.licence.name)
    typer.echo(f"gpavatar is installed: sha256 {next(iter(record.files.values()))}")


@add.command()
def flame(path: Source, name: Name = "") -> None:
    """A FLAME file (.pkl or .npz), or another head model in its format."""
    from backend.models.head_models import GPAVATAR_VERTICES, install_head_model

    name, model = install_head_model(path, _FLAME_LICENCE, name)
    count = len(model.v_template)
    typer.echo(f"{name} is installed as a head model: {count} vertices, sha256 {model.checksum}")
    if count != GPAVATAR_VERTICES:
        typer.echo(f"The bust uses it as it is; gpavatar needs a head model of {GPAVATAR_VERTICES} vertices.")
    typer.echo("It stays under the licence that you got it with (https://flame.is.tue.mpg.de/modellicense.html).")


@add.command()
def refiner(folder: Source, name: Name = "") -> None:
    """A refiner that was trained: a whole one, or its adapters alone."""
    from backend.refiner.installation import install_refiner

    name, record = install_refiner(folder, name, _OWN_LICENCE)
    typer.echo(f"the preset {name} is installed: {len(record.files)} files")


@add.command("sd-turbo")
def sd_turbo(path: MaybeSource = None, download: Download = False, accept_licence: Accept = False) -> None:
    """Stable Diffusion Turbo, which the turbo preset builds on: a folder in the layout of diffusers."""
    from backend.models.sd_turbo import install_sd_turbo
    from backend.models.sources import load_sources

    source = load_sources()["sd-turbo"]
    _check_one_of(path, download)
    if path is None:
        folder = _fetch("sd-turbo", accept_licence)
        record = install_sd_turbo(folder, source.licence.name, source.base, move=True)
        shutil.rmtree(folder)
    else:
        _show_licence(source)
        record = install_sd_turbo(path, source.licence.name)
    typer.echo(f"sd-turbo is installed: {len(record.files)} files")


def _check_one_of(path: Path | None, download: bool) -> None:
    if (path is None) == (not download):
        raise typer.BadParameter("name a path, or ask for --download")


def _fetch(name: str, accepted: bool) -> Path:
    """Show the licence, ask, then fetch; returns the folder with the files.

    Raises:
        TurboPortraitError: licence_not_agreed, and as `download.fetch`.
    """
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    from backend.models.download import fetch
    from backend.models.sources import load_sources

    source = load_sources()[name]
    typer.echo(f"{source.title}\n  {source.page}")
    _show_licence(source)
    if not accepted and not _agrees():
        raise TurboPortraitError("licence_not_agreed", source.licence.name)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    folder = models_folder() / ".downloads" / name
    with Progress(*columns, TimeRemainingColumn()) as progress:
        tasks = {file.path: progress.add_task(file.path, total=file.size, visible=False) for file in source.files}

        def report(path: str, done: int, total: int | None) -> None:
            progress.update(tasks[path], completed=done, total=total, visible=True)

        sums = fetch(source, folder, report)
    if source.trusted_on_first_use:
        for file in source.files:
            if not (file.sha256 or file.md5):
                typer.echo(f"{file.path}: its publisher tells no checksum; from now on it is {sums[file.path]}")
    return folder


def _agrees() -> bool:
    try:
        return typer.confirm("Do you agree to this licence?")
    except typer.Abort:
        return False


def _show_licence(source) -> None:
    licence = source.licence
    typer.echo(f"  Licence: {licence.name}. {licence.text}")
    for link in licence.links:
        typer.echo(f"  {link}")
