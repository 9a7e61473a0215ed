"""turboportrait shots: the shots of a .blend as files for editors, and what a shot list says."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Annotated

import msgspec
import typer


def given_rate(fps: str) -> Fraction | None:
    """The option --fps as a fraction; None where it is not given."""
    from backend.batch.rates import exact_rate

    try:
        return exact_rate(fps) if fps else None
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--fps") from error


shots = typer.Typer(help="Shot lists: write those of a .blend, look at one.", no_args_is_help=True)
BlenderOption = Annotated[str, typer.Option(help="Command of a Blender, to evaluate the .blend.")]
SceneOption = Annotated[str, typer.Option(help="Scene of the .blend; by default the one it was saved in.")]


@shots.command()
def export(
    blend: Annotated[
        Path, typer.Argument(help="A .blend whose timeline markers are bound to cameras.", dir_okay=False)
    ],
    output: Annotated[Path | None, typer.Option(help="Folder; by default the .blend's own.")] = None,
    scene: SceneOption = "",
    blender: BlenderOption = "",
) -> None:
    """Write the .blend's shots as OTIO and as CSV, named after it."""
    from backend.batch.evaluate import evaluate
    from backend.batch.problems import BatchRefused, Problem
    from backend.batch.shot_csv import write_csv
    from backend.batch.shot_timelines import write_otio
    from backend.protocol.shots import Shot

    if not blend.is_file():
        raise BatchRefused(str(blend), [Problem(0, "there is no such file")])
    seen = evaluate(blend, None, None, blender, scene)
    found = [msgspec.convert(shot, Shot) for shot in seen["shots"]]
    if not found:
        raise BatchRefused(str(blend), [Problem(0, "the scene has no camera: bind timeline markers to cameras")])
    folder = output or blend.parent
    folder.mkdir(parents=True, exist_ok=True)
    rate = Fraction(*seen["fps"])
    write_otio(found, rate, folder / f"{blend.stem}.otio", blend.stem)
    write_csv(found, rate, folder / f"{blend.stem}.csv")
    for suffix in (".otio", ".csv"):
        typer.echo(str(folder / f"{blend.stem}{suffix}"))


@shots.command()
def show(
    file: Annotated[Path, typer.Argument(help="A shot list: .otio, .edl, .xml, .csv.", dir_okay=False)],
    fps: Annotated[str, typer.Option(help="Frames per second of an EDL, which doesn't say them.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="As one line of JSON, with all problems.")] = False,
) -> None:
    """Print what a shot list says, and what is wrong with it."""
    from backend.batch.problems import BatchRefused
    from backend.batch.rates import rate_text
    from backend.batch.shot_lists import read_shot_list

    found = read_shot_list(file, given_rate(fps))
    if as_json:
        problems, notes = (
            [{"line": each.line, "sentence": each.sentence} for each in some] for some in (found.problems, found.notes)
        )
        rate = [found.rate.numerator, found.rate.denominator] if found.rate else None
        shown = {"shots": msgspec.to_builtins(found.shots), "fps": rate, "problems": problems, "notes": notes}
        typer.echo(json.dumps(shown))
        return
    for shot in found.shots:
        where = f"{file.name}:{shot.line}" if shot.line else file.name
        camera = f", camera {shot.camera}" if shot.camera else ""
        speed = f", speed {shot.speed:g}" if shot.speed != 1 else ""
        typer.echo(f"{where}: {shot.name}, frames {shot.first} to {shot.last}{camera}{speed}")
    for each in found.notes:
        typer.echo(each.text(file.name))
    if found.rate:
        typer.echo(f"{rate_text(found.rate)} frames per second")
    if found.problems:
        raise BatchRefused(str(file), found.problems)


@shots.command()
def poses(
    blend: Annotated[Path, typer.Argument(help="The .blend with heads and cameras.", dir_okay=False)],
    shot_list: Annotated[Path | None, typer.Argument(help="A shot list; by default the .blend's markers.")] = None,
    output: Annotated[Path, typer.Option(help="The pose file.")] = Path("poses.npz"),
    fps: Annotated[str, typer.Option(help="Frames per second of an EDL.")] = "",
    scene: SceneOption = "",
    blender: BlenderOption = "",
) -> None:
    """Evaluate a .blend into a pose file, with which `turboportrait batch --poses` renders on machines without it."""
    from backend.batch.checks import check_shots
    from backend.batch.evaluate import evaluate
    from backend.batch.problems import BatchRefused
    from backend.batch.shot_lists import read_shot_list
    from backend.protocol.shots import DEFAULT_OUTPUT

    found = read_shot_list(shot_list, given_rate(fps)) if shot_list else None
    for each in found.notes if found else ():
        typer.echo(each.text(str(shot_list)), err=True)
    if found:
        # What is rendered of them later, and how, is not known yet.
        qualities = {shot.quality for shot in found.shots}
        if problems := [*found.problems, *check_shots(found.shots, qualities, DEFAULT_OUTPUT, overlaps=True)]:
            raise BatchRefused(str(shot_list), problems)
    output.parent.mkdir(parents=True, exist_ok=True)
    evaluate(blend, found.shots if found else None, output, blender, scene)
    typer.echo(str(output))
