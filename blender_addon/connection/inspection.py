"""What the backend understands of a photo, as a picture."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from bpy.app.translations import pgettext_rpt as rpt_

from backend.client import TurboPortraitError
from backend.protocol.errors import said_error

from .command_line import base_command, run_command
from .tasks import Task


def inspect_photo(photo: bytes, head_model: str, face: int) -> Task:
    """A task whose result is the bytes of `turboportrait inspect`'s picture (PNG).

    Raises:
        TurboPortraitError: what is wrong with the photo; backend_not_started.
    """
    with tempfile.TemporaryDirectory(prefix="turboportrait-") as folder:
        source, output = Path(folder) / "photo", Path(folder) / "inspected.png"
        source.write_bytes(photo)
        arguments = [*base_command(), "inspect", str(source), "--output", str(output), "--json"]
        arguments += ["--face", str(face), "--head-model", head_model]
        said, status = yield from run_command(arguments, "Inspecting the portrait")
        if status:
            raise _error_of(said, status)
        return output.read_bytes()


def _error_of(said: bytes, status: int) -> TurboPortraitError:
    try:
        return said_error(json.loads(said))
    except ValueError:
        return TurboPortraitError("backend_not_started", rpt_("exit status {status}").format(status=status))
