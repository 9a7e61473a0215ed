"""The sidebar's three steps: backend, portrait, preview. Nothing is shown that cannot be used."""

from __future__ import annotations

import bpy
from bpy.app.translations import pgettext_iface as iface_

from ..connection import installer, preferences
from ..connection.link import link
from ..live import session
from ..live.profiler import profiler
from ..package_name import ADDON
from ..render.engine import TurboPortraitEngine
from ..scene.head import head_of
from ..scene.portrait import PHOTO_COLOURS
from .layout import CONTEXT, Sidebar, draw_paragraph, draw_progress, draw_settings, draw_tick, has_portrait


class BackendPanel(Sidebar, bpy.types.Panel):
    bl_idname = "TURBOPORTRAIT_PT_backend"
    bl_label = "1. Backend"
    bl_translation_context = CONTEXT

    def draw_header_preset(self, context: bpy.types.Context) -> None:
        draw_tick(self.layout, link.ready)

    def draw(self, context: bpy.types.Context) -> None:
        draw_backend(context, self.layout)


class PortraitPanel(Sidebar, bpy.types.Panel):
    bl_idname = "TURBOPORTRAIT_PT_portrait"
    bl_label = "2. Portrait"
    bl_translation_context = CONTEXT

    def draw_header_preset(self, context: bpy.types.Context) -> None:
        draw_tick(self.layout, has_portrait(context.scene))

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        head = head_of(context.object)
        if head is not None and head.turboportrait.portrait is not None:
            row = layout.row(align=True)
            row.label(text=head.turboportrait.portrait.name, icon="IMAGE_DATA", translate=False)
            if head.turboportrait.several_faces:
                row.operator("turboportrait.choose_face", icon="COMMUNITY", text="")
            row.operator("turboportrait.inspect_portrait", icon="VIEWZOOM", text="")
        elif not has_portrait(context.scene):
            draw_paragraph(context, layout, "Choose a photo that shows one face from the front.", "INFO")
        text = iface_("Portrait for {head}").format(head=head.name) if head else iface_("Register portrait", "Operator")
        layout.operator("turboportrait.register_portrait", icon="USER", text=text, translate=False)
        row = layout.row(align=True)
        row.operator("turboportrait.add_head", icon="ADD")
        row.operator("turboportrait.load_head", icon="FILE_FOLDER", text="")


class PreviewPanel(Sidebar, bpy.types.Panel):
    bl_idname = "TURBOPORTRAIT_PT_preview"
    bl_label = "3. Preview"
    bl_translation_context = CONTEXT

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return has_portrait(context.scene)

    def draw_header_preset(self, context: bpy.types.Context) -> None:
        draw_tick(self.layout, context.scene.turboportrait.live)

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


class FiguresPanel(Sidebar, bpy.types.Panel):
    bl_idname = "TURBOPORTRAIT_PT_figures"
    bl_label = "Figures"
    bl_translation_context = CONTEXT
    bl_parent_id = "TURBOPORTRAIT_PT_preview"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.prop(context.scene.turboportrait, "show_figures")
        text = iface_("End the log", CONTEXT) if profiler.logging else iface_("Log figures", "Operator")
        row = layout.row()
        row.operator("turboportrait.log_figures", text=text, translate=False, icon="REC", depress=profiler.logging)


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
        if not link.ready:
            draw_backend(context, self.layout)
        draw_settings(self.layout, context.scene)


class MotionBlurPanel(bpy.types.Panel):
    """Blender's own settings of the shutter, and how many moments are rendered for it."""

    bl_idname = "TURBOPORTRAIT_PT_motion_blur"
    bl_label = "Motion Blur"
    bl_space_type = "PROPERTIES"
    bl_region_type = "WINDOW"
    bl_context = "render"
    bl_options = {"DEFAULT_CLOSED"}
    COMPAT_ENGINES = {TurboPortraitEngine.bl_idname}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return context.engine in cls.COMPAT_ENGINES

    def draw_header(self, context: bpy.types.Context) -> None:
        self.layout.prop(context.scene.render, "use_motion_blur", text="")

    def draw(self, context: bpy.types.Context) -> None:
        layout, render = self.layout, context.scene.render
        layout.use_property_split = True
        layout.active = render.use_motion_blur
        layout.prop(render, "motion_blur_position", text="Position")
        layout.prop(render, "motion_blur_shutter")
        layout.prop(context.scene.turboportrait, "motion_blur_steps")


def draw_backend(context: bpy.types.Context, layout: bpy.types.UILayout) -> None:
    """How the backend is, and what mends it."""
    wanted = preferences.connection()
    if link.ready or link.owns_process:
        row = layout.row(align=True)
        text = iface_("Stop", CONTEXT) if link.owns_process else iface_("Disconnect", CONTEXT)
        row.operator("turboportrait.stop_backend", icon="PAUSE", text=text, translate=False)
        row.operator("turboportrait.show_log", icon="TEXT", text="")
    elif not link.busy and (wanted.address or wanted.command is None):
        _draw_missing(context, layout, wanted)
    elif not link.busy:
        layout.operator("turboportrait.start_backend", icon="PLAY", text="Start", text_ctxt=CONTEXT)
    _draw_state(context, layout)
    if link.health is not None:
        health = link.health
        text = f"{health.device}, {health.resident_bytes >> 20} MB, {_avatars(len(health.avatars))}"
        layout.label(text=text, translate=False)


def _draw_missing(
    context: bpy.types.Context, layout: bpy.types.UILayout, wanted: preferences.ConnectionSettings
) -> None:
    """Nothing can be started here: install it, choose it, or join one that runs already."""
    if not wanted.address:
        reason = installer.can_install()
        draw_paragraph(context, layout, reason or "The backend is not installed on this computer yet.", "INFO")
        if not reason:
            installer.draw_offer(layout)
        elif not bpy.app.online_access:
            mend = layout.operator("screen.userpref_show", icon="INTERNET", text="Open its preferences")
            mend.section = "SYSTEM"
        chosen = layout.operator("preferences.addon_show", text="Choose its Python", text_ctxt=CONTEXT)
        chosen.module = ADDON
    layout.operator("turboportrait.start_backend", icon="LINKED", text="Connect", text_ctxt=CONTEXT)


def _avatars(count: int) -> str:
    return iface_("1 portrait") if count == 1 else iface_("{count} portraits").format(count=count)


def _draw_state(context: bpy.types.Context, layout: bpy.types.UILayout) -> None:
    """What happens or happened last: with progress while it lasts, with a copy button if it went wrong."""
    if not link.message:
        return
    if link.busy:
        draw_progress(context, layout, link.message, link.fraction)
    else:
        draw_paragraph(context, layout, link.message, "ERROR" if link.failed else "INFO")
    if link.can_cancel:
        layout.operator("turboportrait.cancel", icon="CANCEL")
    elif link.failed:
        row = layout.row(align=True)
        row.operator("turboportrait.copy_message", icon="COPYDOWN")
        row.operator("turboportrait.show_log", icon="TEXT")


CLASSES = (BackendPanel, PortraitPanel, PreviewPanel, FiguresPanel, RenderPanel, MotionBlurPanel)
_register_classes, _unregister_classes = bpy.utils.register_classes_factory(CLASSES)
BUILT_IN_PANELS_LEFT_OUT = {"VIEWLAYER_PT_filter", "VIEWLAYER_PT_layer_passes"}


def _built_in_panels():
    """Blender's own panels that make sense for every engine: resolution, output, colour management, lens."""
    for panel in bpy.types.Panel.__subclasses__():
        engines = getattr(panel, "COMPAT_ENGINES", None)
        if engines and "BLENDER_RENDER" in engines and panel.__name__ not in BUILT_IN_PANELS_LEFT_OUT:
            yield engines


def register() -> None:
    _register_classes()
    for engines in _built_in_panels():
        engines.add(TurboPortraitEngine.bl_idname)


def unregister() -> None:
    for engines in _built_in_panels():
        engines.discard(TurboPortraitEngine.bl_idname)
    _unregister_classes()
