"""The sidebar's panels of the selected head, its expressions, and the cameras."""

from __future__ import annotations

import re

import bpy
from bpy.app.translations import pgettext_iface as iface_

from ..scene.head import head_of, mesh_of
from ..scene.pose_controls import expression_keys
from ..scene.unsupported import unsupported_in_camera, unsupported_in_head
from .layout import CONTEXT, Sidebar, draw_paragraph


class HeadPanel(Sidebar, bpy.types.Panel):
    bl_idname = "TURBOPORTRAIT_PT_head"
    bl_label = "Head"
    bl_translation_context = CONTEXT

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return head_of(context.object) is not None

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        head = head_of(context.object)
        if head is None:
            return
        row = layout.row(align=True)
        if head.turboportrait.portrait_parameters:
            row.operator("turboportrait.match_portrait", icon="USER")
        row.operator("turboportrait.rest_head", icon="ARMATURE_DATA")
        layout.operator("turboportrait.keyframe_head", icon="KEY_HLT")
        layout.prop(head.turboportrait, "gaze", slider=True)
        layout.prop(head.turboportrait, "limits")
        mesh_object = mesh_of(head)
        if mesh_object is not None and mesh_object.data.turboportrait.texture is not None:
            layout.row().prop(mesh_object.data.turboportrait, "look", expand=True)
        for sentence in unsupported_in_head(head, context.evaluated_depsgraph_get()):
            draw_paragraph(context, layout, sentence, "INFO")


class ExpressionPanel(Sidebar, bpy.types.Panel):
    bl_idname = "TURBOPORTRAIT_PT_expression"
    bl_label = "Expressions"
    bl_translation_context = CONTEXT
    bl_parent_id = "TURBOPORTRAIT_PT_head"

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        settings = context.scene.turboportrait
        row = layout.row(align=True)
        row.prop(settings, "expression_filter", text="", icon="VIEWZOOM")
        row.operator("turboportrait.reset_expressions", icon="LOOP_BACK", text="")
        groups = grouped_expressions(head_of(context.object), settings.expression_filter)
        if not groups:
            layout.label(text="No expression has this in its name", icon="INFO")
        for group, keys in groups.items():
            column = layout.column(align=True)
            column.label(text=group, text_ctxt=CONTEXT)
            for key in keys:
                # A shape key's name is data, such as ARKit's jawOpen.
                column.prop(key, "value", text=key.name, translate=False, slider=True)


def grouped_expressions(head: bpy.types.Object, wanted: str) -> dict[str, list[bpy.types.ShapeKey]]:
    """The shape keys whose names contain `wanted`, by the part of the face that their names begin with."""
    groups: dict[str, list[bpy.types.ShapeKey]] = {}
    for key in expression_keys(head):
        if wanted.lower() in key.name.lower():
            part = re.match(r"[a-z]+", key.name)
            groups.setdefault(part[0].capitalize() if part else "Other", []).append(key)
    return groups


class CameraPanel(Sidebar, bpy.types.Panel):
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
            if context.scene.camera.type == "CAMERA":
                for sentence in unsupported_in_camera(context.scene.camera, context.evaluated_depsgraph_get()):
                    draw_paragraph(context, layout, sentence, "INFO")
        chosen = context.object
        if chosen is not None and chosen.type == "CAMERA":
            layout.operator("turboportrait.cut_to_camera", icon="MARKER_HLT")
            text = iface_("Keep {camera} live").format(camera=chosen.name)
            layout.prop(chosen.turboportrait, "live", text=text, translate=False)


CLASSES = (HeadPanel, ExpressionPanel, CameraPanel)

register, unregister = bpy.utils.register_classes_factory(CLASSES)
