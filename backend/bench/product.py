"""`turboportrait bench`: how long the product takes, as a host sees it: through a real backend, over the wire."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from backend.bench.report import machine, percentiles
from backend.client import Client
from backend.commands.session import BackendOption, backend_client
from backend.evaluation.portraits import real_portraits
from backend.photos import read_photo
from backend.protocol.camera import Camera
from backend.protocol.files import write_file
from backend.protocol.head_parameters import HeadParameters
from backend.protocol.messages import Registered, View

app = typer.Typer(help="Measure speed on this machine.")
VIEW_SIZE = 256
REPEATS = 20
REGISTRATIONS = 3


@app.callback(invoke_without_command=True)
def bench(
    context: typer.Context,
    portrait: Path | None = typer.Option(None, help="A portrait photo; by default the astronaut of scikit-image."),
    output: Path | None = typer.Option(None, help="Write the figures here as JSON."),
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
    _print(figures, device)
    if output:
        report = {"machine": machine(), "device": device, "milliseconds": figures}
        write_file(output, json.dumps(report, indent=2) + "\n")


def registrations(client: Client, photo: bytes) -> list[float]:
    """Seconds that registering takes, several times over, the avatar forgotten in between."""
    seconds = []
    for _ in range(REGISTRATIONS):
        started = time.perf_counter()
        registered = client.register(photo)
        seconds.append(time.perf_counter() - started)
        client.forget(registered.avatar)
    return seconds


def latencies(client: Client, registered: Registered, repeats: int = REPEATS) -> dict[str, dict[str, float]]:
    """Milliseconds of one raw view, and of two views raw and refined together, at 256x256, each in a new pose."""
    camera = portrait_camera(registered, VIEW_SIZE)
    result = {}
    for name, keys, refined in (("one_raw_view", "a", False), ("two_refined_views", "ab", True)):
        views = [View(key, camera) for key in keys]
        seconds = []
        for repeat in range(repeats + 1):
            parameters = turned(registered, 60 * (repeat / repeats - 0.5))
            started = time.perf_counter()
            client.render(registered.avatar, parameters, views, raw=not refined, refined=refined)
            seconds.append(time.perf_counter() - started)
        # The first one fills the caches of this avatar.
        result[name] = percentiles(seconds[1:])
    return result


def turned(registered: Registered, yaw: float) -> HeadParameters:
    """The portrait's expression with the head turned about the neck by so many degrees."""
    pose = np.zeros((5, 3))
    pose[1, 1] = np.radians(yaw)
    return HeadParameters.from_arrays(pose, registered.parameters.expression)


def portrait_camera(registered: Registered, size: int) -> Camera:
    """The portrait's own camera at another resolution."""
    return registered.camera.crop(0, 0, registered.camera.width, size)


def _print(figures: dict[str, dict[str, float]], device: str) -> None:
    table = Table(title=f"{machine()}, {device}", title_justify="left")
    for column in ("", "p50", "p95"):
        table.add_column(column, justify="right" if column else "left")
    for name, row in figures.items():
        table.add_row(name.replace("_", " "), f"{row['p50_ms']:.0f} ms", f"{row['p95_ms']:.0f} ms")
    Console().print(table)
