"""Plays a scenario in Blender's window: a generator that yields what it waits for, driven by a timer.

A scenario yields seconds, or a function that says whether to go on; after `patience` seconds of that it has failed.
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Generator
from pathlib import Path

import bpy

ADDON = "bl_ext.user_default.turboportrait3d"
"""The extension, as Blender names it."""
PATIENCE_SECONDS = 60.0
STEP_SECONDS = 0.01
Scenario = Generator["float | Callable[[], object]", None, dict]


def arguments() -> dict:
    """What the test passed: JSON after `--`."""
    return json.loads(sys.argv[sys.argv.index("--") + 1])


def play(scenario: Scenario, report: Path, patience: float = PATIENCE_SECONDS) -> None:
    """Begin when the window is there; at the end write what the scenario returned, or why it failed, and quit."""
    waiting: list = [1.0, time.monotonic()]

    def step() -> float | None:
        wish, since = waiting
        passed = time.monotonic() - since
        try:
            if callable(wish):
                if not wish():
                    if passed > patience:
                        said = inner("connection.link").link.message
                        scenario.throw(TimeoutError(f"waited {patience:g} s; the panel says: {said}"))
                    return STEP_SECONDS
            elif passed < wish:
                return STEP_SECONDS
            waiting[:] = next(scenario), time.monotonic()
            return STEP_SECONDS
        except StopIteration as end:
            outcome = {"result": end.value}
        except BaseException:
            outcome = {"error": traceback.format_exc()}
        report.write_text(json.dumps(outcome))
        bpy.ops.wm.quit_blender()
        return None

    bpy.app.timers.register(step, first_interval=1.0, persistent=True)


def inner(name: str):
    """A module of the extension."""
    return importlib.import_module(f"{ADDON}.{name}")


def window() -> bpy.types.Window:
    """Blender's only window."""
    return bpy.context.window_manager.windows[0]


def area(kind: str) -> bpy.types.Area:
    """The largest area of a kind, such as VIEW_3D."""
    return max((a for a in window().screen.areas if a.type == kind), key=lambda a: a.width * a.height)


def within(area: bpy.types.Area):
    """A context for operators that want to be called from an area."""
    region = next(region for region in area.regions if region.type == "WINDOW")
    return bpy.context.temp_override(window=window(), screen=window().screen, area=area, region=region)


def screenshot(path: Path) -> None:
    """Save the screen as it looks now. Blender's own operator saves black where OpenGL is in software."""
    subprocess.run(["import", "-window", "root", str(path)], check=True)
