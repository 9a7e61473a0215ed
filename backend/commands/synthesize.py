"""`turboportrait data synthesize`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from backend.people.synthesis.driver import CorpusConfig, CorpusSummary

console = Console()
SIZES = (256, 512)


def synthesize(
    folder: Annotated[
        Path, typer.Argument(help="Folder for the people; those that it has are kept and not made again.")
    ],
    identities: Annotated[int, typer.Option(min=1, help="How many people; the paper's corpus has 1000.")] = 16,
    first_seed: Annotated[
        int, typer.Option(min=0, max=900_000, help="The first person's number; each is fixed by its own.")
    ] = 0,
    assets: Annotated[
        Path | None, typer.Option(help="MakeHuman's system assets: photographed skins, hair, clothes.")
    ] = None,
    views: Annotated[
        int, typer.Option(min=0, max=32, help="Views of each besides the portrait; 0 for a contact sheet.")
    ] = 6,
    size: Annotated[int, typer.Option(help="Pixels of the portrait, 256 or 512; the views have 256.")] = 512,
    samples: Annotated[
        int, typer.Option(min=1, max=1024, help="Light paths of a pixel; the denoiser does the rest.")
    ] = 8,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes, each with a Blender of its own.")] = 2,
    threads: Annotated[int, typer.Option(min=1, max=64, help="Threads of each Blender.")] = 1,
    blender: Annotated[str | None, typer.Option(help="A Blender to render with, in place of the package bpy.")] = None,
    components_only: Annotated[
        bool, typer.Option(help="Heads within the head model's components: does not need anny.")
    ] = False,
    held_out_only: Annotated[
        bool, typer.Option("--held-out-only", help="Of these people only those to evaluate on.")
    ] = False,
    report: Annotated[bool, typer.Option("--report", help="Print seconds per picture, and where they went.")] = False,
    sheet: Annotated[
        Path | None, typer.Option(help="Save a contact sheet of these people's portraits (JPEG or PNG).")
    ] = None,
) -> None:
    """Render synthetic people by Blender's Cycles: portraits and views with cameras, parameters, depth and labels."""
    from backend.people.shards import NONE_HELD_OUT
    from backend.people.synthesis.driver import CorpusConfig, synthesize_people
    from backend.protocol.errors import TurboPortraitError

    if size not in SIZES:
        raise typer.BadParameter(f"must be one of {SIZES}", param_hint="--size")
    config = CorpusConfig(
        str(folder), first_seed, identities, views, size, samples, workers, threads, blender, components_only,
        held_out_only, str(assets) if assets else None,
    )  # fmt: skip
    if not config.seeds:
        raise typer.BadParameter(NONE_HELD_OUT, param_hint="--held-out-only")
    _check_parts(config)
    _tell_assets(config)
    done = 0

    def tell(outcome) -> None:
        nonlocal done
        done += 1
        said = outcome.error or f"{len(outcome.rendered)} views, {outcome.seconds:.1f} s"
        console.print(f"{done}: person {outcome.seed}: {said}", markup=False, highlight=False)

    with ending_by_signals():
        summary = synthesize_people(config, tell)
    _print(summary, folder, report)
    if sheet:
        from backend.people.synthesis.sheet import save_sheet

        save_sheet(folder, config.seeds, sheet)
        console.print(f"Contact sheet: {sheet}")
    if summary.failed and not summary.made and not summary.there:
        raise TurboPortraitError("internal", f"no person could be made; the first: {summary.failed[0].error}")


@contextmanager
def ending_by_signals() -> Iterator[None]:
    """Let a command that a signal has ended say so, and end as programs do that a signal ends."""
    from backend.people.synthesis.processes import Interrupted

    try:
        yield
    except Interrupted as interruption:
        console.print(f"{interruption}; the same command goes on from here.")
        raise typer.Exit(128 + interruption.signal) from None


def _check_parts(config: CorpusConfig) -> None:
    import importlib.util

    from backend.protocol.errors import TurboPortraitError

    if config.blender is None and importlib.util.find_spec("bpy") is None:
        raise TurboPortraitError(
            "no_blender", "the package bpy is not installed", sentence="There is no Blender to render with."
        )
    if config.assets and config.components_only:
        raise typer.BadParameter("assets fit anny's heads, not those of --components-only", param_hint="--assets")
    if not config.components_only and importlib.util.find_spec("anny") is None:
        raise TurboPortraitError(
            "missing_package",
            "anny, which heads beyond the head model's components come from",
            hint="Run `pip install 'turboportrait3d[build]'`, or give --components-only for heads within them.",
        )


def _tell_assets(config: CorpusConfig) -> None:
    """Say what people lack without assets, or which of them cannot be used."""
    from backend.people.makehuman.library import open_library

    if config.assets is None:
        console.print(
            "Without --assets skins are painted and hair is strands alone: no photographed skins, hair on cards, "
            "clothes, eyes, teeth or hats. docs/corpus.md says where they are had."
        )
        return
    for problem in open_library(Path(config.assets)).problems:
        console.print(f"left out: {problem}", markup=False, highlight=False)


def _print(summary: CorpusSummary, folder: Path, report: bool) -> None:
    console.print(
        f"{len(summary.made)} people made, {summary.there} were there, {len(summary.failed)} failed, in {folder}."
    )
    for outcome in summary.failed:
        console.print(f"  person {outcome.seed}: {outcome.error}", markup=False)
    if report and summary.images:
        rendered = sum(sum(outcome.rendered) for outcome in summary.made)
        prepared = sum(outcome.prepared for outcome in summary.made)
        whole = sum(outcome.seconds for outcome in summary.made)
        count = summary.images
        others = whole - rendered - prepared
        console.print(
            f"{count} pictures in {summary.wall:.1f} s: {summary.wall / count:.2f} s each. Of a worker's time: Cycles "
            f"{rendered / count:.2f} s, scene {prepared / count:.2f} s, "
            f"files and Blender's start {others / count:.2f} s."
        )
