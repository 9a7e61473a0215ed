"""The sidebar: backend, portrait, view. Nothing is shown that cannot be used."""

from __future__ import annotations

import textwrap

import bpy

from . import preferences
from .backend_link import link
from .engine import TurboPortraitEngine
from .head import head_of
from .portrait import PHOTO_COLOURS
from .view_image import image_name


class _Sidebar:
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "TurboPortrait"


class BackendPanel(_Sidebar, bpy.types.Panel):
    bl_idname = "TURBOPORTRAIT_PT_backend"
    bl_label = "Backend"

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        wanted = preferences.connection()
        # Without a Python nothing can be started, but a backend that runs already can be joined.
        can_start = not wanted.address and wanted.command is not None
        if link.ready or link.busy or link.owns_process:
            text = "Stop" if link.owns_process else "Disconnect"
            layout.operator("turboportrait.stop_backend", icon="PAUSE", text=text)
        else:
            layout.operator("turboportrait.start_backend", icon="PLAY", text="Start" if can_start else "Connect")
            if not can_start and not wanted.address:
                layout.label(text="To start one, choose its Python", icon="INFO")
                layout.operator("preferences.addon_show", text="Preferences").module = __package__
        if link.message:
            _paragraph(context, layout, link.message, "ERROR" if link.failed else "INFO")


class PortraitPanel(_Sidebar, bpy.types.Panel):
    bl_idname = "TURBOPORTRAIT_PT_portrait"
    bl_label = "Portrait"

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        head = head_of(context.object)
        if head is not None and head.turboportrait.portrait is not None:
            layout.label(text=head.turboportrait.portrait.name, icon="IMAGE_DATA")
        text = "Register portrait" if head is None else f"Portrait for {head.name}"
        layout.operator("turboportrait.register_portrait", icon="USER", text=text)
        row = layout.row(align=True)
        row.operator("turboportrait.add_head", icon="ADD")
        row.operator("turboportrait.load_head", icon="FILE_FOLDER", text="")


class ViewPanel(_Sidebar, bpy.types.Panel):
    bl_idname = "TURBOPORTRAIT_PT_view"
    bl_label = "View"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return any(thing.turboportrait.avatar_id for thing in context.scene.objects)

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        scene = context.scene
        if scene.camera is None:
            layout.label(text="Add a camera to the scene", icon="OUTLINER_OB_CAMERA")
            return
        layout.operator("turboportrait.render_view", icon="IMAGE_RGB")
        image = bpy.data.images.get(image_name(scene.camera))
        if image is not None:
            layout.label(text=image.name, icon="IMAGE_DATA")
        if scene.view_settings.view_transform != PHOTO_COLOURS:
            layout.operator("turboportrait.use_photo_colors", icon="COLOR")
        draw_settings(layout, scene)


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
        layout.prop(settings, "noise_level")


def _paragraph(context: bpy.types.Context, layout: bpy.types.UILayout, text: str, icon: str) -> None:
    """Text over several lines: Blender's labels don't wrap."""
    letters = max(int(context.region.width / (7 * context.preferences.system.ui_scale)), 20)
    column = layout.column(align=True)
    for number, line in enumerate(textwrap.wrap(text, letters)):
        column.label(text=line, icon=icon if number == 0 else "BLANK1")


CLASSES = (BackendPanel, PortraitPanel, ViewPanel, RenderPanel)
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
