"""Measures the live preview in a Blender window and writes docs/measurements/live.json.

    python tools/measure_live.py BLENDER-COMMAND...

The command starts a Blender with a window in which the extension is installed, such as `blender`. Latencies are from
the change of a pose to uploaded pixels; what the backend itself took for them is told beside, from its own timings.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

import skimage.data
import skimage.io

from backend.client import BackendProcess

ROOT = Path(__file__).parents[1]
OUTPUT = ROOT / "docs" / "measurements" / "live.json"
PARTS = {"latency": 30, "latency_image_editor": 30, "scrub": 1, "memory": 2000, "frame_rate": 4}
"""What `tests/desktop/inside/figures.py` measures, and how many of it."""


def main(command: list[str], parts: list[str]) -> None:
    """Measure the parts one after another, each in a Blender of its own, and merge them into the file."""
    figures = json.loads(OUTPUT.read_text()) if OUTPUT.exists() else {}
    figures["machine"] = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    figures["command"] = "python tools/measure_live.py BLENDER-COMMAND"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        portrait = folder / "astronaut.png"
        skimage.io.imsave(portrait, skimage.data.astronaut(), check_contrast=False)
        backend = BackendProcess.start(
            endpoint_path=folder / "backend.json", log=folder / "backend.log", low_priority=True
        )
        try:
            backend.wait_ready()
            for part in parts:
                report = folder / f"{part}.json"
                given = {"report": str(report), "state": name, "portrait": str(portrait), "part": part}
                script = str(ROOT / "tests" / "desktop" / "inside" / "figures.py")
                arguments = ["--window-geometry", "0", "0", "640", "480", "--python", script, "--"]
                run = [*command, "--disable-autoexec", *arguments, json.dumps({**given, "count": PARTS[part]})]
                subprocess.run(run, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
                outcome = json.loads(report.read_text())
                if "error" in outcome:
                    sys.exit(outcome["error"])
                figures[part] = outcome["result"]
                print(part, json.dumps(outcome["result"], indent=1))
        finally:
            backend.stop()
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    OUTPUT.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    chosen = [part for part in os.environ.get("PARTS", "").split(",") if part]
    main(sys.argv[1:], chosen or list(PARTS))
