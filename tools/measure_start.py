"""From the start of a backend to its first registered portrait, and what it then holds in memory.

    python tools/measure_start.py [--runs N] PHOTO [COMMAND ...]

COMMAND is what serves, such as `python3.11 -I -S FOLDER/turboportrait_backend.py serve`; without one this Python does.
Caches are warm from the second run on.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import psutil

from backend.client import BackendProcess, Client


def main() -> None:
    """Print a line for each run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photo", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    for _ in range(options.runs):
        print(measure(options.photo.read_bytes(), options.command), flush=True)


def measure(photo: bytes, command: list[str]) -> str:
    """One run, in words."""
    with tempfile.TemporaryDirectory(prefix="turboportrait-") as name:
        folder = Path(name)
        started = time.perf_counter()
        process = BackendProcess.start(
            command=command or None, log=folder / "backend.log", endpoint_path=folder / "backend.json"
        )
        try:
            with Client(process.wait_ready(), name="measure") as client:
                client.connect()
                ready = time.perf_counter() - started
                client.register(photo, timeout=600)
                registered = time.perf_counter() - started
                own = psutil.Process(process.process.pid)
                resident = [p.memory_info().rss >> 20 for p in (own, *own.children(recursive=True))]
                worked = sum(own.cpu_times()[:2])
        finally:
            process.stop()
    return (
        f"ready after {ready:.1f} s, registered after {registered:.1f} s, {worked:.1f} s of CPU time, "
        f"{sum(resident)} MB resident"
    )


if __name__ == "__main__":
    main()
