"""`turboportrait data` as a user runs it, on one small person."""

import os
import resource
import subprocess
import sys
from pathlib import Path

SEED = 11
COMMAND = (sys.executable, "-m", "backend.commands", "data")


def data(*arguments: object, most_bytes: int | None = None) -> subprocess.CompletedProcess:
    """Run `turboportrait data`, where no file can grow beyond so many bytes as on a full disk."""
    limit = (lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))) if most_bytes else None
    command = [*COMMAND, *map(str, arguments)]
    environment = os.environ | {"COLUMNS": "200"}
    return subprocess.run(command, capture_output=True, text=True, timeout=400, preexec_fn=limit, env=environment)


def synthesize(folder: Path, *more: object, views: int = 4, most_bytes: int | None = None):
    """Make the one person with few samples."""
    small = ("--identities", 1, "--views", views, "--samples", 2, "--size", 256, "--workers", 1, "--components-only")
    return data("synthesize", folder, "--first-seed", SEED, *small, "--report", *more, most_bytes=most_bytes)
