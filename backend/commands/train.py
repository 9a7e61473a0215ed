"""`turboportrait train`: the refiner's training and GPAvatar's."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from backend.client.isolation import isolated, python_module
from backend.training.configs import CONFIGS

if TYPE_CHECKING:
    from backend.training.run import Run

app = typer.Typer(help="Train the refiner or GPAvatar.", no_args_is_help=True)
console = Console()


SHOWN = {
    "picture": "loss", "raw_picture": "raw", "lpips": "lpips", "face": "face", "adversarial": "adv",
    "discriminator": "D",
    "classes": "classes", "overlap": "overlap", "alpha": "alpha", "edge": "edge",
    "image": "image", "box": "box", "perceptual": "perceptual",
}  # fmt: skip
"""Terms beside the progress bar, with short names; raw is what the loss would be if nothing were refined."""


def _progress(disable: bool = False) -> Progress:
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn(),
        console=console, disable=disable,
    )  # fmt: skip


@app.command()
def refiner(
    config: Annotated[Path, typer.Option(help="The run (TOML).")] = CONFIGS / "compact_stage1.toml",
    corpus: Annotated[str | None, typer.Option(help="Folder of the shards, in place of the config's.")] = None,
    output: Annotated[
        str | None, typer.Option(help="Folder for checkpoint, log and result, in place of the config's.")
    ] = None,
    initial: Annotated[
        str | None, typer.Option(help="Folder of the refiner to start from, in place of the config's.")
    ] = None,
    base: Annotated[
        str | None, typer.Option(help="Diffusers folder of the base model, in place of the preset's.")
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Last step, in place of the config's.")] = None,
    minutes: Annotated[
        float | None, typer.Option(help="Stop after so many minutes; the same command goes on later.")
    ] = None,
    processes: Annotated[
        int, typer.Option(min=1, help="So many processes on this machine, each with a GPU or some cores.")
    ] = 1,
) -> None:
    """Train a refiner; goes on from its checkpoint if there is one. Ctrl+C saves, then stops."""
    if processes > 1:
        given = dict(
            config=config, corpus=corpus, output=output, initial=initial, base=base, steps=steps, minutes=minutes
        )
        _launch(processes, [f"--{name}={value}" for name, value in given.items() if value is not None])

    import msgspec

    from backend.training.config import TrainingConfig
    from backend.training.trainer import Trainer

    given = {"corpus": corpus, "folder": output, "initial": initial, "base": base, "steps": steps}
    settings = msgspec.structs.replace(
        TrainingConfig.load(config), **{name: value for name, value in given.items() if value is not None}
    )
    trainer = Trainer(settings)
    _train(trainer, minutes)
    trainer.accelerator.end_training()
    _tell(trainer)


@app.command()
def mean(
    refiners: Annotated[
        list[Path], typer.Argument(help="Folders of refiners, one trained from the other or both from a third.")
    ],
    output: Annotated[Path, typer.Option(help="Folder for the refiner whose weights are their means.")],
) -> None:
    """Write the mean of refiners, as of a run's first and second stage."""
    from backend.training.model_soup import write_mean

    write_mean(refiners, output)
    console.print(f"The mean of {len(refiners)} refiners is in {output}")


@app.command()
def gpavatar(
    config: Annotated[Path, typer.Option(help="The run (TOML).")] = CONFIGS / "gpavatar.toml",
    corpus: Annotated[str | None, typer.Option(help="Folder of the shards, in place of the config's.")] = None,
    output: Annotated[
        str | None, typer.Option(help="Folder for checkpoint, log and result, in place of the config's.")
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Last step, in place of the config's.")] = None,
    minutes: Annotated[
        float | None, typer.Option(help="Stop after so many minutes; the same command goes on later.")
    ] = None,
) -> None:
    """Train GPAvatar's network; goes on from its checkpoint if there is one. Ctrl+C saves, then stops."""
    import msgspec

    from backend.pipeline.catalog import Catalog
    from backend.training.gpavatar.config import GPAvatarTrainingConfig
    from backend.training.gpavatar.trainer import GPAvatarTrainer

    given = {"corpus": corpus, "folder": output, "steps": steps}
    settings = msgspec.structs.replace(
        GPAvatarTrainingConfig.load(config), **{name: value for name, value in given.items() if value is not None}
    )
    trainer = GPAvatarTrainer(settings, Catalog.default().head_model(settings.head_model))
    _train(trainer, minutes)
    _tell(trainer)


@app.command()
def parser_corpus(
    output: Annotated[Path, typer.Argument(help="Folder for the pictures; what is there is kept.")] = Path(
        "data/parser"
    ),
    people: Annotated[Path | None, typer.Option(exists=True, help="Folder of `turboportrait data synthesize`.")] = None,
    portraits: Annotated[
        Path | None, typer.Option(exists=True, help="Folder of photos, to be labelled weakly.")
    ] = None,
    teacher: Annotated[
        Path | None, typer.Option(exists=True, help="MediaPipe's hair_segmentation.tflite, for photos.")
    ] = None,
    notes: Annotated[Path, typer.Option(help="What is known of the photos (TOML).")] = CONFIGS / "portrait_notes.toml",
) -> None:
    """Make the portrait parser's corpus: exact labels of synthetic people, weak ones of photos."""
    from backend.people.parsing.corpus import write_people, write_portraits
    from backend.people.parsing.portraits import read_notes

    if people is None and portraits is None:
        raise typer.BadParameter("give --people, --portraits or both")
    if portraits is not None and teacher is None:
        raise typer.BadParameter("photos are labelled by it", param_hint="--teacher")
    done, wrong = 0, 0
    with _progress() as progress:
        task = progress.add_task("pictures", total=None)

        def report(name: str, error: str | None) -> None:
            nonlocal done, wrong
            done, wrong = done + 1, wrong + (error is not None)
            progress.advance(task)
            if error:
                progress.console.print(f"{name}: {error}", markup=False)

        if people is not None:
            write_people(people, output / "people", report)
        if portraits is not None and teacher is not None:
            write_portraits(portraits, teacher, read_notes(notes), output / "portraits", report)
    console.print(f"{done - wrong} people and portraits are in {output}, {wrong} could not be used.")


@app.command()
def parser(
    config: Annotated[Path, typer.Option(help="The run (TOML).")] = CONFIGS / "parser_stage1.toml",
    corpus: Annotated[
        str | None, typer.Option(help="Folder of `train parser-corpus`, in place of the config's.")
    ] = None,
    output: Annotated[
        str | None, typer.Option(help="Folder for checkpoint, log and result, in place of the config's.")
    ] = None,
    initial: Annotated[str | None, typer.Option(help="Weights to start from, in place of the config's.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Last step, in place of the config's.")] = None,
    fold: Annotated[
        int | None, typer.Option(min=-1, help="The fold of portraits to leave out, in place of the config's.")
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(help="Stop after so many minutes; the same command goes on later.")
    ] = None,
) -> None:
    """Train the portrait parser; goes on from its checkpoint if there is one. Ctrl+C saves, then stops."""
    import msgspec

    from backend.training.parser.config import ParserTrainingConfig
    from backend.training.parser.trainer import ParserTrainer

    given = {"corpus": corpus, "folder": output, "initial": initial, "steps": steps, "fold": fold}
    settings = msgspec.structs.replace(
        ParserTrainingConfig.load(config), **{name: value for name, value in given.items() if value is not None}
    )
    trainer = ParserTrainer(settings)
    _train(trainer, minutes)
    _tell(trainer)


def _train(trainer: Run, minutes: float | None) -> None:
    with _progress(disable=not trainer.is_main) as progress:
        task = progress.add_task("steps", total=trainer.config.steps, completed=trainer.step)

        def report(step: int, terms: dict[str, float]) -> None:
            shown = " ".join(f"{short} {terms[name]:.3f}" for name, short in SHOWN.items() if name in terms)
            progress.update(task, completed=step, description=shown)

        trainer.run(report, minutes)


def _tell(trainer: Run) -> None:
    if trainer.is_main:
        steps, name = trainer.config.steps, trainer.result_name
        console.print(f"{trainer.step} of {steps} steps, {trainer.seconds:.0f} s of training; the {name} is in "
                      f"{trainer.folder / name}")  # fmt: skip
        if trainer.step < steps:
            console.print("The same command goes on from here.")
    if trainer.interrupted:
        # As a shell says it, so that a script does not start the next stage.
        raise typer.Exit(128 + trainer.interrupted)


def _launch(processes: int, options: list[str]) -> NoReturn:
    """Become the launcher of several processes that run this command and know of each other."""
    launcher = [*python_module("torch.distributed.run"), "--standalone", f"--nproc-per-node={processes}"]
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // processes)))
    start = isolated([*launcher, "-m", "backend.commands", "train", "refiner", *options])
    # In place of this process, so that signals reach the launcher, which passes them on and waits. The options may
    # name files from the current folder, so it stays; it is on no path.
    os.execve(sys.executable, start["args"], start["env"])
