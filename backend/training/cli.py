"""`turboportrait train`: the synthetic corpus, and the refiner's training."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

app = typer.Typer(help="Make training data and train the refiner.", no_args_is_help=True)
console = Console()

CONFIGS = Path(__file__).parent / "configs"


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn(),
        console=console,
    )  # fmt: skip


@app.command()
def synthesize(
    config: Path = typer.Option(CONFIGS / "corpus.toml", exists=True, help="What to make (TOML)."),
    output: Path | None = typer.Option(None, help="Folder for the shards, in place of the config's."),
    identities: int | None = typer.Option(None, help="How many identities, in place of the config's."),
) -> None:
    """Make synthetic identities; what is there already is kept."""
    from backend.training.corpus import SynthesisConfig
    from backend.training.corpus import synthesize as make

    settings = SynthesisConfig(**tomllib.loads(config.read_text()))
    settings = replace(settings, folder=str(output or settings.folder), identities=identities or settings.identities)
    rejected = 0
    with _progress() as progress:
        task = progress.add_task("identities", total=settings.identities)

        def report(seed: int, reason: str | None) -> None:
            nonlocal rejected
            rejected += reason is not None
            progress.advance(task)
            if reason is not None:
                progress.console.print(f"[yellow]identity {seed} rejected:[/] {reason}")

        make(settings, report)
    console.print(f"The corpus is in {settings.folder}; {rejected} identities were rejected in this run.")


@app.command()
def refiner(
    config: Path = typer.Option(CONFIGS / "compact.toml", exists=True, help="The run (TOML)."),
    corpus: Path | None = typer.Option(None, help="Folder of the shards, in place of the config's."),
    output: Path | None = typer.Option(None, help="Folder for checkpoint, log and result, in place of the config's."),
    steps: int | None = typer.Option(None, help="Last step, in place of the config's."),
    minutes: float | None = typer.Option(None, help="Stop after so many minutes; the same command goes on later."),
) -> None:
    """Train a refiner; goes on from its checkpoint if there is one."""
    from backend.training.trainer import RESULT_NAME, Trainer, TrainingConfig

    settings = TrainingConfig.load(config)
    settings = replace(
        settings,
        corpus=str(corpus or settings.corpus),
        folder=str(output or settings.folder),
        steps=steps or settings.steps,
    )
    trainer = Trainer(settings)
    with _progress() as progress:
        task = progress.add_task("steps", total=settings.steps, completed=trainer.step)

        def report(step: int, terms: dict[str, float]) -> None:
            progress.update(task, completed=step, description=f"loss {terms['picture']:.3f}/{terms['raw_picture']:.3f}")

        trainer.run(report, minutes)
    console.print(f"{trainer.step} steps, {trainer.seconds:.0f} s of training; the refiner is in "
                  f"{trainer.folder / RESULT_NAME}")  # fmt: skip
