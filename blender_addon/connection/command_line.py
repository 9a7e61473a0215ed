"""The command `turboportrait` beside the server: which it is, and short runs of it."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence

from backend.client import TurboPortraitError
from backend.client.isolation import isolated

from . import bundled, preferences
from .tasks import Task


def base_command() -> list[str]:
    """The command `turboportrait`, by the preferences.

    Raises:
        TurboPortraitError: backend_not_started.
    """
    serve = preferences.connection().command
    if serve is None:
        raise TurboPortraitError("backend_not_started", hint="Choose the backend's Python in the preferences.")
    if bundled.is_packed() and serve == bundled.command("serve") and not bundled.is_unpacked():
        raise TurboPortraitError("backend_not_started", hint="Start the backend once, which unpacks it.")
    return list(serve[:-1])


def run_command(command: Sequence[str], stage: str) -> Task:
    """A task whose result is what a command wrote, bytes, and its exit status; cancelled, the command ends.

    Args:
        command: with its arguments. stage: what the status line says meanwhile.

    Raises:
        TurboPortraitError: backend_not_started.
    """
    with tempfile.TemporaryFile() as said:
        try:
            process = subprocess.Popen(
                **isolated(command), stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.DEVNULL
            )
        except OSError as error:
            raise TurboPortraitError("backend_not_started", str(error)) from error
        try:
            while process.poll() is None:
                yield stage
        finally:
            process.kill()
            process.wait()
        said.seek(0)
        return said.read(), process.returncode
