"""`python __main__.py`, or `blender -b -P __main__.py`: render scenes that are named on standard input.

A line in: JSON with `scene` (a .npz), `output` (a folder), `samples`, `threads`. A line out, after "studio ": JSON with
`views` and `seconds`, or `error`.
"""

import json
import sys
import time
from pathlib import Path

if __package__ in (None, ""):
    # Run by a Blender as a script: the checkout is five folders up.
    sys.path.insert(0, str(Path(__file__).resolve().parents[4]))

from backend.people.synthesis.studio.render import render_scene


def main() -> None:
    print("studio " + json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        task = json.loads(line)
        start = time.perf_counter()
        try:
            seconds = render_scene(Path(task["scene"]), Path(task["output"]), task["samples"], task["threads"])
            reply = {"views": seconds, "seconds": time.perf_counter() - start}
        except Exception as error:
            reply = {"error": f"{type(error).__name__}: {error}"}
        print("studio " + json.dumps(reply), flush=True)


main()
