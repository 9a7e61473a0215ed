"""The debug overlay: what the live preview costs and how fast it is, drawn into every 3D viewport."""

from __future__ import annotations

import blf
import bpy

from .profiler import profiler

FONT = 0
TOP, LINE, SIZE = 110, 16, 12
COLUMNS = (70, 190, 250, 310)
_handles: list[object] = []


def rows() -> list[tuple[str, ...]]:
    """The overlay's text, by columns."""
    table: list[tuple[str, ...]] = [("milliseconds", "median", "p95", "longest")]
    for kind in (*profiler.CALLS, "upload", *profiler.LATENCIES):
        figures = profiler.milliseconds(kind)
        if figures:
            table.append((kind.replace("_", " "), *(f"{figure:.1f}" for figure in figures)))
    table.append(("redraws a second", f"{profiler.frames_per_second:.0f}"))
    table += [(what, str(count)) for what, count in sorted(profiler.counts.items())]
    return table


def _draw_overlay() -> None:
    region = bpy.context.region
    if bpy.context.scene.turboportrait.show_figures:
        scale = bpy.context.preferences.system.ui_scale
        blf.size(FONT, SIZE * scale)
        blf.color(FONT, 1.0, 0.85, 0.3, 1.0)
        blf.enable(FONT, blf.SHADOW)
        for number, row in enumerate(rows()):
            for column, text in zip(COLUMNS, row, strict=False):
                blf.position(FONT, column * scale, region.height - (TOP + number * LINE) * scale, 0)
                blf.draw(FONT, text)
        blf.disable(FONT, blf.SHADOW)
    profiler.drawn()


def register() -> None:
    if not bpy.app.background:
        _handles.append(bpy.types.SpaceView3D.draw_handler_add(_draw_overlay, (), "WINDOW", "POST_PIXEL"))


def unregister() -> None:
    while _handles:
        bpy.types.SpaceView3D.draw_handler_remove(_handles.pop(), "WINDOW")
