"""`turboportrait bench`: speed on this machine, as ratios measured side by side in one run where two ways exist."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.table import Table

from backend.avatars.gpavatar.avatar import Renderer, installed_renderer
from backend.bench import batch as batches
from backend.bench import gpavatar as gpavatars
from backend.bench import refiner as refiners
from backend.bench.product import latencies, print_figures, registrations
from backend.bench.report import machine, percentiles
from backend.bench.work import matrix_rate
from backend.commands.session import BackendOption, backend_client
from backend.evaluation.portraits import real_portraits
from backend.photos import read_photo
from backend.protocol.files import write_file
from backend.refiner import Refiner
from backend.refiner.config import preset_folder

app = typer.Typer(help="Measure speed on this machine.")


@app.callback(invoke_without_command=True)
def bench(
    context: typer.Context,
    portrait: Annotated[
        Path | None, typer.Option(help="A portrait photo; by default the astronaut of scikit-image.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Write the figures here as JSON.")] = None,
    backend: BackendOption = "",
) -> None:
    """Registration, a raw view, and two views refined together at 256x256: medians and 95th percentiles."""
    if context.invoked_subcommand:
        return
    photo = read_photo(portrait) if portrait else real_portraits()["astronaut"]
    with Console(stderr=True).status("Measuring"), backend_client(backend) as client:
        figures = {"registration": percentiles(registrations(client, photo))}
        figures |= latencies(client, client.register(photo))
        device = client.status().device
    print_figures(figures, device)
    if output:
        report = {"machine": machine(), "device": device, "milliseconds": figures}
        write_file(output, json.dumps(report, indent=2) + "\n")


@app.command()
def batch(
    only: Annotated[
        list[str] | None, typer.Option(help=f"Measure this only: {', '.join(batches.PARTS)}; repeat it.")
    ] = None,
    frames: Annotated[int, typer.Option(min=16, help="Frames per measurement of speed, 256x256, refined.")] = 48,
    long_run: Annotated[int, typer.Option(min=2000, help="Frames of the memory's measurement, 16x16, raw.")] = 10_000,
    output: Annotated[Path | None, typer.Option(help="Write the figures here as JSON.")] = None,
) -> None:
    """Two workers against one, frames together against one by one, a plan's time, and the driver's memory."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    measures = {
        "workers": lambda: batches.measure_workers(frames),
        "batching": lambda: batches.measure_batching(frames),
        "planning": batches.measure_planning,
        "memory": lambda: batches.measure_memory(long_run),
    }
    if unknown := set(only or ()) - set(batches.PARTS):
        raise typer.BadParameter(f"{sorted(unknown)[0]!r}; there are: {', '.join(batches.PARTS)}", param_hint="--only")
    figures = {name: measures[name]() for name in batches.PARTS if not only or name in only}
    table = Table("batch", "", title=machine(), title_justify="left")
    for name, rows in figures.items():
        for what, value in rows.items():
            table.add_row(name, f"{what.replace('_', ' ')}: {value}")
    Console().print(table)
    if output:
        write_file(output, json.dumps({"machine": machine(), **figures}, indent=2) + "\n")


@app.command()
def gpavatar(
    device: Annotated[str, typer.Option(help="cpu, cuda, or auto: the GPU if there is one.")] = "auto",
    installed: Annotated[
        bool, typer.Option(help="Use the installed weights; random ones otherwise (equally fast).")
    ] = False,
    repeats: Annotated[int, typer.Option(min=1, help="Runs of each part; the direct form runs once on a CPU.")] = 5,
    direct: Annotated[
        bool, typer.Option(help="Measure the direct form too; it takes a minute or two on a CPU.")
    ] = True,
    output: Annotated[Path | None, typer.Option(help="Write the figures here as JSON.")] = None,
) -> None:
    """Encoder, volume rendering, two whole views of 512x512 pixels, and peak memory."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(0)
    renderer = installed_renderer() if installed else Renderer(gpavatars.random_network(), device)
    with Console(stderr=True).status("Measuring"):
        report = {"machine": machine(), "device": gpavatars.device_name(device), "views": gpavatars.VIEWS}
        report |= gpavatars.product_figures(renderer, repeats)
        if direct:
            report["volume_rendering"] = gpavatars.side_by_side(renderer, repeats)
    gpavatars.print_report(report)
    if output:
        write_file(output, json.dumps(report, indent=2) + "\n")


@app.command()
def refiner(
    preset: Annotated[str, typer.Option(help="A refiner preset; several with commas between.")] = "compact",
    views: Annotated[str, typer.Option(help="Numbers of views refined together.")] = "1,2,4,8",
    size: Annotated[str, typer.Option(help="Sides of the square views in pixels, such as 256,512.")] = "256",
    vae: Annotated[str, typer.Option(help="full, tiny or both (full,tiny): the preset NAME or NAME-tiny.")] = "full",
    device: Annotated[str, typer.Option(help="cpu, cuda, or auto: the GPU if there is one.")] = "auto",
    dtype: Annotated[str, typer.Option(help="float32, bfloat16, float16; auto as in use.")] = "auto",
    random_weights: Annotated[
        bool, typer.Option(help="The preset's architecture with random weights: no download.")
    ] = False,
    framing: Annotated[
        refiners.Framing,
        typer.Option(help="full: pictures that heads fill, the most work; portrait: the astronaut as framed in use."),
    ] = refiners.Framing.FULL,
    plain: Annotated[bool, typer.Option(help="Measure the plain diffusers form too.")] = True,
    repeats: Annotated[int, typer.Option(min=refiners.LEAST_REPEATS, help="Measurements of each case.")] = 30,
    seconds: Annotated[
        float, typer.Option(help=f"Time for each case; at least {refiners.LEAST_REPEATS} measurements are taken.")
    ] = 60,
    output: Annotated[Path | None, typer.Option(help="Write the figures here as JSON.")] = None,
) -> None:
    """Median and 95th percentile of refining V views with one reference, peak memory, stages, and the plain form.

    The two forms take turns in the same run; their pictures are compared as well.
    """
    place = torch.device(("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device)
    names = [name if kind == "full" else f"{name}-{kind}" for name in preset.split(",") for kind in vae.split(",")]
    report: dict = {
        "machine": machine(),
        "device": refiners.device_name(place),
        "torch": torch.__version__,
        "cases": [],
    }
    console = Console(stderr=True)
    for name in names:
        torch.manual_seed(0)
        with console.status(f"{name}: loading"):
            model = Refiner.from_config(preset_folder(name)) if random_weights else Refiner.from_preset(name)
            model.prepare(place, refiners.DTYPES.get(dtype))
        kind = str(model.dtype).removeprefix("torch.")
        rate = report.setdefault("matrix_tflops", {}).setdefault(kind, matrix_rate(place, model.dtype) / 1e12)
        cases = [refiners.Case(model, int(v), int(s), name, framing) for s in size.split(",") for v in views.split(",")]
        for case in cases:
            with console.status(f"{case}: warming up, memory"):
                case.measure_memory()
        other = refiners.plain_form(model, name) if plain else None
        for case in cases:
            with console.status(f"{case}: measuring"):
                figures = {"dtype": kind, **case.measure(other, repeats, seconds)}
            if "tflop" in figures:
                achieved = figures["tflop"]["total"] / (figures["ours"]["p50_ms"] / 1000)
                figures["share_of_matrix_rate"] = float(f"{achieved / rate:.3g}")
            report["cases"].append(figures)
    refiners.print_report(report)
    if output:
        write_file(output, json.dumps(report, indent=2) + "\n")
