"""The buttons of the head rig: portrait pose, rest, keyframes, and a keying set of all controls."""

from __future__ import annotations

import bpy
from bpy.app.translations import pgettext_rpt as rpt_

from backend.protocol.head_parameters import HeadParameters

from ..scene.head import head_of
from ..scene.pose_controls import expression_keys, keyed_paths, keyframe, portrait_parameters, pose_head
from .layout import CONTEXT
from .reporting import report


def active_head(cls: type[bpy.types.Operator], context: bpy.types.Context) -> bpy.types.Object | None:
    """The head that is selected, or the scene's only one; where there is none, the poll message says so."""
    head = head_of(context.object)
    if head is None:
        heads = [thing for thing in context.scene.objects if thing.turboportrait.is_head]
        head = heads[0] if len(heads) == 1 else None
    if head is None:
        cls.poll_message_set(rpt_("Select a head: its armature or its mesh"))
    return head


class _HeadOperator:
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return active_head(cls, context) is not None


class MatchPortrait(_HeadOperator, bpy.types.Operator):
    bl_idname = "turboportrait.match_portrait"
    bl_label = "Match portrait"
    bl_description = "Give the head the pose and expression that it has in its portrait"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        head = active_head(cls, context)
        if head is not None and not head.turboportrait.portrait_parameters:
            cls.poll_message_set(rpt_("This head has no portrait: register one first"))
            return False
        return head is not None

    def execute(self, context: bpy.types.Context) -> set[str]:
        head = active_head(type(self), context)
        parameters = None if head is None else portrait_parameters(head)
        if head is None or parameters is None:
            return {"CANCELLED"}
        return report(self, lambda: pose_head(context, head, parameters))


class RestHead(_HeadOperator, bpy.types.Operator):
    bl_idname = "turboportrait.rest_head"
    bl_label = "Rest"
    bl_translation_context = CONTEXT
    bl_description = "Straighten the head and relax its face; it stays where it is"

    def execute(self, context: bpy.types.Context) -> set[str]:
        head = active_head(type(self), context)
        found = portrait_parameters(head)
        place = found.translation if found else (0.0, 0.0, 0.0)
        return report(self, lambda: pose_head(context, head, HeadParameters(translation=place)))


class KeyframeHead(_HeadOperator, bpy.types.Operator):
    bl_idname = "turboportrait.keyframe_head"
    bl_label = "Keyframe all"
    bl_description = "Keyframe every control of the head at the current frame: bones, gaze and expressions"

    def execute(self, context: bpy.types.Context) -> set[str]:
        head = active_head(type(self), context)
        return report(self, lambda: keyframe(head, context.scene.frame_current))


class ResetExpressions(_HeadOperator, bpy.types.Operator):
    bl_idname = "turboportrait.reset_expressions"
    bl_label = "Relax face"
    bl_description = "Set the expressions that are shown below to zero"

    def execute(self, context: bpy.types.Context) -> set[str]:
        wanted = context.scene.turboportrait.expression_filter.lower()
        for key in expression_keys(active_head(type(self), context)):
            if wanted in key.name.lower():
                key.value = 0.0
        return {"FINISHED"}


class HeadKeyingSet(bpy.types.KeyingSetInfo):
    """Keyframe every control of the selected head: bones, gaze and expressions"""

    bl_idname = "TURBOPORTRAIT_KS_head"
    bl_label = "TurboPortrait Head"

    def poll(self, context: bpy.types.Context) -> bool:
        return head_of(context.object) is not None

    def iterator(self, context: bpy.types.Context, keying_set: bpy.types.KeyingSet) -> None:
        self.generate(context, keying_set, head_of(context.object))

    def generate(self, context: bpy.types.Context, keying_set: bpy.types.KeyingSet, head: bpy.types.Object) -> None:
        """Name the paths to be keyed."""
        for block, path in keyed_paths(head):
            keying_set.paths.add(block, path, group_method="NAMED", group_name=head.name)


CLASSES = (MatchPortrait, RestHead, KeyframeHead, ResetExpressions)

register, unregister = bpy.utils.register_classes_factory((*CLASSES, HeadKeyingSet))
