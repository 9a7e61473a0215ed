"""`turboportrait bench`: how long the product takes, as a host sees it: through a real backend, over the wire."""

from __future__ import annotations

import time

import numpy as np
from rich.console import Console
from rich.table import Table

from backend.bench.report import machine, percentiles
from backend.client import Client
from backend.protocol.camera import Camera
from backend.protocol.head_parameters import HeadParameters
from backend.protocol.messages import Registered, View

VIEW_SIZE = 256
REPEATS = 20
REGISTRATIONS = 3


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


def print_figures(figures: dict[str, dict[str, float]], device: str) -> None:
    table = Table(title=f"{machine()}, {device}", title_justify="left")
    for column in ("", "p50", "p95"):
        table.add_column(column, justify="right" if column else "left")
    for name, row in figures.items():
        table.add_row(name.replace("_", " "), f"{row['p50_ms']:.0f} ms", f"{row['p95_ms']:.0f} ms")
    Console().print(table)
