"""The buttons for cameras: frame, turntable, dolly, cut."""

from __future__ import annotations

import bpy
from bpy.app.translations import pgettext_rpt as rpt_

from ..scene.camera_moves import add_camera, cut_to, dolly, frame_head, turntable
from .head_operators import active_head
from .reporting import has_camera, report


class AddCamera(bpy.types.Operator):
    bl_idname = "turboportrait.add_camera"
    bl_label = "Add camera"
    bl_description = "Add a camera that frames the head"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return active_head(cls, context) is not None

    def execute(self, context: bpy.types.Context) -> set[str]:
        head = active_head(type(self), context)
        return report(self, lambda: add_camera(context, head))


class _ShotOperator:
    """Works on the head and the scene's camera."""

    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return has_camera(cls, context) and active_head(cls, context) is not None


class FrameHead(_ShotOperator, bpy.types.Operator):
    bl_idname = "turboportrait.frame_head"
    bl_label = "Frame the head"
    bl_description = "Put the active camera before the face so that the head fills its frame; its lens stays"

    def execute(self, context: bpy.types.Context) -> set[str]:
        head = active_head(type(self), context)
        return report(self, lambda: frame_head(context.scene, head, context.scene.camera))


class Turntable(_ShotOperator, bpy.types.Operator):
    bl_idname = "turboportrait.turntable"
    bl_label = "Turntable"
    bl_description = "Have the active camera travel round the head over the scene's frames, as two keyframes"

    angle: bpy.props.FloatProperty(
        name="Angle",
        description="How far round the head the camera travels, half to each side of where it is",
        default=1.0472,
        min=-6.2832,
        max=6.2832,
        subtype="ANGLE",
    )

    def execute(self, context: bpy.types.Context) -> set[str]:
        head, scene = active_head(type(self), context), context.scene
        return report(
            self, lambda: turntable(context, head, scene.camera, scene.frame_start, scene.frame_end, self.angle)
        )


class Dolly(_ShotOperator, bpy.types.Operator):
    bl_idname = "turboportrait.dolly"
    bl_label = "Dolly"
    bl_description = "Move the active camera towards the head or away over the scene's frames, as two keyframes"

    factor: bpy.props.FloatProperty(
        name="Distance",
        description="The last frame's distance to the head as a share of the first's",
        default=0.6,
        min=0.1,
        max=10.0,
    )
    hold_size: bpy.props.BoolProperty(
        name="Hold size", description="Zoom so that the head keeps its size in the frame (a dolly zoom)"
    )

    def execute(self, context: bpy.types.Context) -> set[str]:
        head, scene = active_head(type(self), context), context.scene
        return report(
            self,
            lambda: dolly(head, scene.camera, scene.frame_start, scene.frame_end, self.factor, self.hold_size),
        )


class CutToCamera(bpy.types.Operator):
    bl_idname = "turboportrait.cut_to_camera"
    bl_label = "Cut to camera"
    bl_description = "Make the selected camera active from the current frame on, by a timeline marker"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if context.object is None or context.object.type != "CAMERA":
            cls.poll_message_set(rpt_("Select the camera to cut to"))
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        cut_to(context.scene, context.object, context.scene.frame_current)
        return {"FINISHED"}


CLASSES = (AddCamera, FrameHead, Turntable, Dolly, CutToCamera)

register, unregister = bpy.utils.register_classes_factory(CLASSES)
