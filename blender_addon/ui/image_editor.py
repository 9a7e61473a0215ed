"""Images are shown beside the viewport."""

from __future__ import annotations

import bpy


def show_in_editor(window: bpy.types.Window, image: bpy.types.Image) -> bool:
    """Show an image in an image editor, or in a part of the largest 3D viewport; False where the window has neither."""
    areas = window.screen.areas
    editor = next((area for area in areas if area.type == "IMAGE_EDITOR"), None)
    if editor is None:
        known = set(areas)
        view = max((area for area in areas if area.type == "VIEW_3D"), key=lambda area: area.width, default=None)
        if view is None:
            return False
        with bpy.context.temp_override(window=window, area=view, region=view.regions[-1]):
            bpy.ops.screen.area_split(direction="VERTICAL", factor=0.6)
        editor = next(area for area in areas if area not in known)
        editor.type = "IMAGE_EDITOR"
    editor.spaces.active.image = image
    return True
