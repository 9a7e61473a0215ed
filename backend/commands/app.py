"""The command `turboportrait`."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys

import typer

from backend.client.isolation import SAFE_PATH
from backend.commands.batch import batch
from backend.commands.capture import capture
from backend.commands.compile import compile_ahead
from backend.commands.doctor import doctor
from backend.commands.inspect import inspect
from backend.commands.models import models
from backend.commands.performance import perform, track
from backend.commands.portrait import register, render
from backend.commands.serve import serve
from backend.commands.shots import shots
from backend.protocol.errors import TurboPortraitError, describe, storage_code

app = typer.Typer(
    name="turboportrait",
    help="One portrait photo becomes a head that Blender can pose, film and refine.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)
for _command in (serve, register, render, inspect, track, capture, perform, batch, doctor):
    app.command()(_command)
app.command("compile", hidden=True)(compile_ahead)
app.add_typer(models, name="models")
app.add_typer(shots, name="shots")

_APPS = {
    "demo": "backend.commands.demo",
    "bench": "backend.commands.bench",
    "data": "backend.commands.data",
    "train": "backend.commands.train",
    "evaluate": "backend.commands.evaluate",
}
"""Commands with an app of their own."""


def main() -> None:
    """Run the command line; errors that a user can meet are a line each, not a traceback."""
    # For what libraries start: multiprocessing, Ray, torch's launcher.
    os.environ.update(SAFE_PATH)
    _add_apps(sys.argv[1:])
    try:
        app()
    except Exception as error:
        # Also where a library writes by itself.
        if not isinstance(error, TurboPortraitError) and not storage_code(error):
            raise
        typer.echo(f"error: {describe(error)}", err=True)
        sys.exit(2)


def _add_apps(arguments: list[str]) -> None:
    """Add the apps: all of them to show the help, else only the one that is asked for, because they load slowly."""
    asked = next((argument for argument in arguments if not argument.startswith("-")), None)
    for name, module in _APPS.items():
        if asked in (None, name) and importlib.util.find_spec(module):
            app.add_typer(importlib.import_module(module).app, name=name)
