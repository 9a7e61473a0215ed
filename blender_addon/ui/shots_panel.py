"""The sidebar's panel of shots: the list with ticks and progress, render, stop, look."""

from __future__ import annotations

import bpy
from bpy.app.translations import pgettext_iface as iface_

from ..shots import batch_runs
from .layout import CONTEXT, Sidebar, draw_paragraph, has_portrait


class ShotUIList(bpy.types.UIList):
    bl_idname = "TURBOPORTRAIT_UL_shots"

    def draw_item(self, context, layout, data, item, icon, active_data, active_property, index=0, flag=0) -> None:
        row = layout.row(align=True)
        row.prop(item, "chosen", text="")
        row.label(text=item.name, translate=False)
        run = batch_runs.run_of(context.scene)
        shot = run.progress.shots.get(item.name) if run else None
        if shot is None:
            row.label(text=f"{item.first}–{item.last}", translate=False)
            return
        template = iface_("{done} of {frames}, {failed} failed") if shot.failed else iface_("{done} of {frames}")
        text = template.format(done=shot.done, frames=shot.frames, failed=shot.failed)
        row.progress(factor=shot.done / max(shot.frames, 1), text=text, translate=False)


class ShotsPanel(Sidebar, bpy.types.Panel):
    bl_idname = "TURBOPORTRAIT_PT_shots"
    bl_label = "Shots"
    bl_translation_context = CONTEXT
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return has_portrait(context.scene)

    def draw(self, context: bpy.types.Context) -> None:
        layout, shots = self.layout, context.scene.turboportrait_shots
        row = layout.row(align=True)
        row.operator("turboportrait.shots_from_markers", icon="MARKER_HLT", text="From markers")
        row.operator("turboportrait.load_shots", icon="FILE_FOLDER", text="Load")
        if not shots.items:
            return
        layout.template_list(ShotUIList.bl_idname, "", shots, "items", shots, "active", rows=3)
        column = layout.column()
        column.use_property_split, column.use_property_decorate = True, False
        column.prop(shots, "output")
        column.prop(shots, "file_format")
        column.prop(shots, "movies")
        run = batch_runs.run_of(context.scene)
        if run is not None and run.running:
            progress = run.progress
            template = iface_("{done} of {frames} frames") if progress.frames else iface_("Starting")
            text = template.format(done=progress.done, frames=progress.frames)
            layout.progress(factor=progress.done / max(progress.frames, 1), text=text, translate=False)
            layout.operator("turboportrait.stop_shots", icon="CANCEL")
        else:
            row = layout.row(align=True)
            row.operator("turboportrait.render_shots", icon="RENDER_ANIMATION", text="Render all")
            row.operator("turboportrait.render_shots", text="Render chosen").chosen_only = True
        if run is not None:
            for problem in run.progress.problems:
                draw_paragraph(context, layout, problem, "ERROR")
            if run.progress.message:
                draw_paragraph(context, layout, run.progress.message, "ERROR" if run.progress.failed else "INFO")
        layout.operator("turboportrait.show_contact_sheet", icon="URL")


CLASSES = (ShotUIList, ShotsPanel)

register, unregister = bpy.utils.register_classes_factory(CLASSES)
