"""What the panels have in common: their place, ticks, texts over several lines, the scene's settings."""

from __future__ import annotations

import textwrap

import bpy
from bpy.app.translations import pgettext_iface as iface_

CONTEXT = "TurboPortrait3D"
"""The translation context of words such as Head (a bone's, for Blender) and Rest (a rig's position)."""


class Sidebar:
    """A panel in the 3D viewport's sidebar."""

    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "TurboPortrait"


def has_portrait(scene: bpy.types.Scene) -> bool:
    """Some head in the scene has a portrait."""
    return any(thing.turboportrait.avatar_id for thing in scene.objects)


def draw_tick(layout: bpy.types.UILayout, done: bool) -> None:
    """A tick in the header of a step that is done."""
    layout.label(icon="CHECKMARK" if done else "BLANK1")


def draw_paragraph(context: bpy.types.Context, layout: bpy.types.UILayout, text: str, icon: str) -> None:
    """Text over several lines: Blender's labels don't wrap. Translated as a whole, before its lines are parted."""
    # The icon's column and the tabs beside the panel take their part of the width.
    scale = context.preferences.system.ui_scale
    letters = max(int((context.region.width / scale - 70) / 6.6), 20)
    column = layout.column(align=True)
    for number, line in enumerate(textwrap.wrap(iface_(text), letters)):
        column.label(text=line, icon=icon if number == 0 else "BLANK1", translate=False)


def draw_progress(context: bpy.types.Context, layout: bpy.types.UILayout, text: str, fraction: float | None) -> None:
    """What is under way, over as many lines as it takes, with a bar where it is known how much is done, in [0, 1]."""
    draw_paragraph(context, layout, text, "SORTTIME")
    if fraction is not None:
        layout.progress(factor=fraction, text=f"{fraction:.0%}", translate=False)


def draw_settings(layout: bpy.types.UILayout, scene: bpy.types.Scene) -> None:
    """The scene's settings; the refiner's only where it is used, the cameras' only where there are several."""
    layout.use_property_split = True
    layout.use_property_decorate = False
    settings = scene.turboportrait
    layout.prop(settings, "output")
    if settings.output == "REFINED":
        layout.prop(settings, "preset")
        layout.prop(settings, "noise_level", slider=True)
        if sum(thing.type == "CAMERA" for thing in scene.objects) > 1:
            layout.prop(settings, "joint")
    layout.prop(settings, "live_size")
