"""The sidebar: backend, portrait, preview; then the head and the cameras. Nothing is shown that cannot be used."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence

import bpy

from . import installer, preferences
from .backend_link import link
from .controls import expression_keys
from .engine import TurboPortraitEngine
from .head import head_of
from .live import session
from .live.meter import meter
from .portrait import PHOTO_COLOURS


class _Sidebar:
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "TurboPortrait"


class BackendPanel(_Sidebar, bpy.types.Panel):
    bl_idname = "TURBOPORTRAIT_PT_backend"
    bl_label = "1. Backend"

    def draw_header_preset(self, context: bpy.types.Context) -> None:
        _mark(self.layout, link.ready)

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        wanted = preferences.connection()
        # Without a Python nothing can be started, but a backend that runs already can be joined.
        can_start = not wanted.address and wanted.command is not None
        if link.ready or link.busy or link.owns_process:
            row = layout.row(align=True)
            text = "Stop" if link.owns_process else "Disconnect"
            row.operator("turboportrait.stop_backend", icon="PAUSE", text=text)
            row.operator("turboportrait.show_log", icon="TEXT", text="")
        else:
            layout.operator("turboportrait.start_backend", icon="PLAY", text="Start" if can_start else "Connect")
            if not can_start and not wanted.address:
                reason = installer.can_install()
                draw_paragraph(context, layout, reason or "The backend is not installed on this computer yet.", "INFO")
                if not reason:
                    layout.operator("turboportrait.install_backend", icon="IMPORT")
                layout.operator("preferences.addon_show", text="Choose its Python").module = __package__
        _draw_state(context, layout)
        if link.health is not None:
            health = link.health
            layout.label(
                text=f"{health.device}, {health.resident_bytes >> 20} MB, {_count(health.avatars, 'portrait')}"
            )


class PortraitPanel(_Sidebar, bpy.types.Panel):
    bl_idname = "TURBOPORTRAIT_PT_portrait"
    bl_label = "2. Portrait"

    def draw_header_preset(self, context: bpy.types.Context) -> None:
        _mark(self.layout, _has_portrait(context.scene))

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        head = head_of(context.object)
        if head is not None and head.turboportrait.portrait is not None:
            layout.label(text=head.turboportrait.portrait.name, icon="IMAGE_DATA")
        elif not _has_portrait(context.scene):
            draw_paragraph(context, layout, "Choose a photo that shows one face from the front.", "INFO")
        text = "Register portrait" if head is None else f"Portrait for {head.name}"
        layout.operator("turboportrait.register_portrait", icon="USER", text=text)
        row = layout.row(align=True)
        row.operator("turboportrait.add_head", icon="ADD")
        row.operator("turboportrait.load_head", icon="FILE_FOLDER", text="")


class PreviewPanel(_Sidebar, bpy.types.Panel):
    bl_idname = "TURBOPORTRAIT_PT_preview"
    bl_label = "3. Preview"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return _has_portrait(context.scene)

    def draw_header_preset(self, context: bpy.types.Context) -> None:
        _mark(self.layout, context.scene.turboportrait.live)

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        scene = context.scene
        settings = scene.turboportrait
        layout.operator("turboportrait.show_rendered", icon="SHADING_RENDERED")
        if scene.camera is None:
            draw_paragraph(context, layout, "The scene has no camera yet.", "INFO")
            layout.operator("turboportrait.add_camera", icon="OUTLINER_OB_CAMERA")
            return
        layout.prop(settings, "live", toggle=True, icon="PLAY", text="Live image of the camera")
        row = layout.row(align=True)
        row.operator("turboportrait.show_image", icon="IMAGE_DATA")
        row.operator("turboportrait.add_card", icon="MESH_PLANE")
        layout.operator("turboportrait.render_view", icon="IMAGE_RGB")
        if scene.view_settings.view_transform != PHOTO_COLOURS:
            layout.operator("turboportrait.use_photo_colors", icon="COLOR")
        preview = session.session_of(scene)
        if preview is not None and preview.problem:
            draw_paragraph(context, layout, preview.problem, "ERROR")
        draw_settings(layout, scene)


class FiguresPanel(_Sidebar, bpy.types.Panel):
    bl_idname = "TURBOPORTRAIT_PT_figures"
    bl_label = "Figures"
    bl_parent_id = "TURBOPORTRAIT_PT_preview"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.prop(context.scene.turboportrait, "show_figures")
        text = "End the log" if meter.logging else "Log figures"
        layout.operator("turboportrait.log_figures", text=text, icon="REC", depress=meter.logging)


class HeadPanel(_Sidebar, bpy.types.Panel):
    bl_idname = "TURBOPORTRAIT_PT_head"
    bl_label = "Head"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return head_of(context.object) is not None

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        head = head_of(context.object)
        row = layout.row(align=True)
        if head.turboportrait.portrait_parameters:
            row.operator("turboportrait.match_portrait", icon="USER")
        row.operator("turboportrait.rest_head", icon="ARMATURE_DATA")
        layout.operator("turboportrait.keyframe_head", icon="KEY_HLT")
        layout.prop(head.turboportrait, "gaze", slider=True)
        layout.prop(head.turboportrait, "limits")


class ExpressionPanel(_Sidebar, bpy.types.Panel):
    bl_idname = "TURBOPORTRAIT_PT_expression"
    bl_label = "Expressions"
    bl_parent_id = "TURBOPORTRAIT_PT_head"

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        settings = context.scene.turboportrait
        row = layout.row(align=True)
        row.prop(settings, "expression_filter", text="", icon="VIEWZOOM")
        row.operator("turboportrait.reset_expressions", icon="LOOP_BACK", text="")
        groups = grouped_expressions(head_of(context.object), settings.expression_filter)
        for group, keys in groups.items():
            column = layout.column(align=True)
            column.label(text=group)
            for key in keys:
                column.prop(key, "value", text=key.name, slider=True)


def grouped_expressions(head: bpy.types.Object, wanted: str) -> dict[str, list[bpy.types.ShapeKey]]:
    """The shape keys whose names contain `wanted`, by the part of the face that their names begin with."""
    groups: dict[str, list[bpy.types.ShapeKey]] = {}
    for key in expression_keys(head):
        if wanted.lower() in key.name.lower():
            part = re.match(r"[a-z]+", key.name)
            groups.setdefault(part[0].capitalize() if part else "Other", []).append(key)
    return groups


class CameraPanel(_Sidebar, bpy.types.Panel):
    bl_idname = "TURBOPORTRAIT_PT_camera"
    bl_label = "Cameras"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return any(thing.turboportrait.is_head for thing in context.scene.objects)

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.operator("turboportrait.add_camera", icon="ADD")
        if context.scene.camera is not None:
            layout.operator("turboportrait.frame_head", icon="FULLSCREEN_ENTER")
            row = layout.row(align=True)
            row.operator("turboportrait.turntable", icon="FILE_REFRESH")
            row.operator("turboportrait.dolly", icon="DRIVER_DISTANCE")
        chosen = context.object
        if chosen is not None and chosen.type == "CAMERA":
            layout.operator("turboportrait.cut_to_camera", icon="MARKER_HLT")
            layout.prop(chosen.turboportrait, "live", text=f"Keep {chosen.name} live")
        layout.prop(context.scene.turboportrait, "joint")


class RenderPanel(bpy.types.Panel):
    """The same settings where Blender's users look for an engine's."""

    bl_idname = "TURBOPORTRAIT_PT_render"
    bl_label = "TurboPortrait3D"
    bl_space_type = "PROPERTIES"
    bl_region_type = "WINDOW"
    bl_context = "render"
    COMPAT_ENGINES = {TurboPortraitEngine.bl_idname}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return context.engine in cls.COMPAT_ENGINES

    def draw(self, context: bpy.types.Context) -> None:
        draw_settings(self.layout, context.scene)


def draw_settings(layout: bpy.types.UILayout, scene: bpy.types.Scene) -> None:
    """The scene's settings; the refiner's only where it is used."""
    layout.use_property_split = True
    layout.use_property_decorate = False
    settings = scene.turboportrait
    layout.prop(settings, "output")
    if settings.output == "REFINED":
        layout.prop(settings, "preset")
        layout.prop(settings, "noise_level", slider=True)
    layout.prop(settings, "live_size")


def _has_portrait(scene: bpy.types.Scene) -> bool:
    return any(thing.turboportrait.avatar_id for thing in scene.objects)


def _mark(layout: bpy.types.UILayout, done: bool) -> None:
    """A tick in the header of a step that is done."""
    layout.label(icon="CHECKMARK" if done else "BLANK1")


def _count(things: Sequence, name: str) -> str:
    return f"{len(things)} {name}" + ("" if len(things) == 1 else "s")


def _draw_state(context: bpy.types.Context, layout: bpy.types.UILayout) -> None:
    """What happens or happened last: with progress while it lasts, with a copy button if it went wrong."""
    if not link.message:
        return
    if link.busy and link.fraction is not None:
        layout.progress(factor=link.fraction, text=link.message)
    else:
        draw_paragraph(context, layout, link.message, "ERROR" if link.failed else "INFO")
    if link.can_cancel:
        layout.operator("turboportrait.cancel", icon="CANCEL")
    elif link.failed:
        row = layout.row(align=True)
        row.operator("turboportrait.copy_message", icon="COPYDOWN")
        row.operator("turboportrait.show_log", icon="TEXT")


def draw_paragraph(context: bpy.types.Context, layout: bpy.types.UILayout, text: str, icon: str) -> None:
    """Text over several lines: Blender's labels don't wrap."""
    # The icon's column and the tabs beside the panel take their part of the width.
    scale = context.preferences.system.ui_scale
    letters = max(int((context.region.width / scale - 70) / 6.6), 20)
    column = layout.column(align=True)
    for number, line in enumerate(textwrap.wrap(text, letters)):
        column.label(text=line, icon=icon if number == 0 else "BLANK1")


CLASSES = (
    BackendPanel,
    PortraitPanel,
    PreviewPanel,
    FiguresPanel,
    HeadPanel,
    ExpressionPanel,
    CameraPanel,
    RenderPanel,
)
BUILT_IN_PANELS_LEFT_OUT = {"VIEWLAYER_PT_filter", "VIEWLAYER_PT_layer_passes"}


def _built_in_panels():
    """Blender's own panels that make sense for every engine: resolution, output, colour management, lens."""
    for panel in bpy.types.Panel.__subclasses__():
        engines = getattr(panel, "COMPAT_ENGINES", None)
        if engines and "BLENDER_RENDER" in engines and panel.__name__ not in BUILT_IN_PANELS_LEFT_OUT:
            yield engines


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    for engines in _built_in_panels():
        engines.add(TurboPortraitEngine.bl_idname)


def unregister() -> None:
    for engines in _built_in_panels():
        engines.discard(TurboPortraitEngine.bl_idname)
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
