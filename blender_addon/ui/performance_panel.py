"""The sidebar's panel of performances: the file, how it is put onto the head, progress and cancel."""

from __future__ import annotations

import bpy
from bpy.app.translations import pgettext_iface as iface_

from backend.protocol.arkit import REGIONS

from ..connection.link import link
from ..performance import following
from ..scene.head import head_of, own_actions
from .layout import CONTEXT, Sidebar, draw_paragraph, draw_progress

NEAREST = "The head has none of ARKit's shape keys: of its own and its jaw what comes nearest to them is moved"
FACE = {None: "The camera starts, or shows no face yet", True: "The head follows", False: "The face is not seen"}


class PerformancePanel(Sidebar, bpy.types.Panel):
    bl_idname = "TURBOPORTRAIT_PT_performance"
    bl_label = "Performance"
    bl_translation_context = CONTEXT
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return head_of(context.object) is not None or any(
            thing.turboportrait.is_head for thing in context.scene.objects
        )

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings = self.layout, context.scene.turboportrait_performance
        row = layout.row(align=True)
        row.prop(settings, "file", text="")
        row.operator("turboportrait.choose_performance", text="", icon="FILE_FOLDER")
        column = layout.column()
        column.use_property_split, column.use_property_decorate = True, False
        column.prop(settings, "start")
        column.prop(settings, "from_portrait")
        column.prop(settings, "travels")
        head = head_of(context.object)
        if head is not None and own_actions(head) is not None:
            draw_paragraph(context, layout, NEAREST, "INFO")
        if link.busy:
            draw_progress(context, layout, link.message, link.fraction)
            if link.can_cancel:
                layout.operator("turboportrait.cancel", icon="CANCEL")
        layout.operator("turboportrait.apply_performance", icon="ACTION")
        layout.operator("turboportrait.save_performance", icon="FILE_TICK")


class LiveCameraPanel(Sidebar, bpy.types.Panel):
    bl_idname = "TURBOPORTRAIT_PT_capture"
    bl_label = "From a camera"
    bl_parent_id = "TURBOPORTRAIT_PT_performance"

    def draw(self, context: bpy.types.Context) -> None:
        layout, followed = self.layout, following.current
        if followed is None:
            row = layout.row(align=True)
            row.prop(context.window_manager.turboportrait_capture, "source", text="", icon="OUTLINER_OB_CAMERA")
            row.operator("turboportrait.find_cameras", text="", icon="FILE_REFRESH")
            layout.operator("turboportrait.start_camera", icon="PLAY")
            return
        if followed.recording:
            said = iface_("Recording {head}").format(head=followed.head_name)
            layout.label(text=said, icon="REC", translate=False)
            layout.operator("turboportrait.keep_recording", icon="ACTION")
        else:
            draw_paragraph(context, layout, FACE[followed.seen], "HIDE_OFF" if followed.seen else "HIDE_ON")
            layout.operator("turboportrait.take_neutral", icon="HOME")
            layout.operator("turboportrait.record", icon="REC")
        layout.operator("turboportrait.stop_camera", icon="PAUSE")


class PerformanceDetailsPanel(Sidebar, bpy.types.Panel):
    bl_idname = "TURBOPORTRAIT_PT_performance_details"
    bl_label = "Strength and cleaning"
    bl_parent_id = "TURBOPORTRAIT_PT_performance"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings = self.layout, context.scene.turboportrait_performance
        layout.use_property_split, layout.use_property_decorate = True, False
        column = layout.column(align=True)
        for region in REGIONS:
            column.prop(settings, region, slider=True)
        layout.prop(settings, "tolerance")
        layout.prop(settings, "face")
        layout.prop(settings, "neutral")
        layout.prop(settings, "take_rate")


CLASSES = (PerformancePanel, LiveCameraPanel, PerformanceDetailsPanel)

register, unregister = bpy.utils.register_classes_factory(CLASSES)
