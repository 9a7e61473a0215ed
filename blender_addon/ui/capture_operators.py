"""The buttons of a camera: the head follows a face, and what it does is recorded."""

from __future__ import annotations

import os

import bpy
from bpy.app.translations import pgettext_rpt as rpt_

from ..connection.command_line import base_command
from ..connection.link import link
from ..connection.tasks import Task
from ..performance import following
from ..performance.capture import FaceCapture
from ..performance.source import find_cameras
from .head_operators import active_head
from .performance_operators import PutsKeys
from .reporting import report


class FindCameras(bpy.types.Operator):
    bl_idname = "turboportrait.find_cameras"
    bl_label = "Find cameras"
    bl_description = "Look which cameras this machine has"

    def execute(self, context: bpy.types.Context) -> set[str]:
        settings = context.window_manager.turboportrait_capture

        def found(cameras: str) -> None:
            settings.known = cameras
            link.say("Choose a camera from the list" if cameras else "This machine has no camera")

        if bpy.app.background:
            return report(self, lambda: found(link.run(find_cameras())))
        link.spawn(find_cameras(), found)
        return {"FINISHED"}


class StartCamera(bpy.types.Operator):
    bl_idname = "turboportrait.start_camera"
    bl_label = "Follow the camera"
    bl_description = "Have the head do what the face before the camera does; its first picture with a face is neutral"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return active_head(cls, context) is not None

    def execute(self, context: bpy.types.Context) -> set[str]:
        head, chosen = active_head(type(self), context), context.window_manager.turboportrait_capture.source
        # The capture runs in another folder.
        path = bpy.path.abspath(chosen)
        camera = os.path.abspath(path) if os.path.isfile(path) else chosen
        face = context.scene.turboportrait_performance.face
        return report(self, lambda: following.start(head, FaceCapture(base_command(), camera, face)))


class _Follows:
    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return follows(cls)


def follows(operator: type[bpy.types.Operator]) -> bool:
    """A head follows the camera; where none does, the operator's poll message says so."""
    if following.current is None:
        operator.poll_message_set(rpt_("No head follows the camera"))
    return following.current is not None


class StopCamera(_Follows, bpy.types.Operator):
    bl_idname = "turboportrait.stop_camera"
    bl_label = "Stop the camera"
    bl_description = "Let go of the camera; the head stands as before, and a recording under way is thrown away"

    def execute(self, context: bpy.types.Context) -> set[str]:
        following.stop()
        return {"FINISHED"}


class TakeNeutral(_Follows, bpy.types.Operator):
    bl_idname = "turboportrait.take_neutral"
    bl_label = "This is neutral"
    bl_description = "What the face does now counts as rest, and where the head points as straight ahead"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if following.current is not None and following.current.recording:
            cls.poll_message_set(rpt_("Not while it is recorded"))
            return False
        return follows(cls)

    def execute(self, context: bpy.types.Context) -> set[str]:
        if following.current is not None:
            following.current.take_neutral()
        return {"FINISHED"}


class RecordCamera(_Follows, bpy.types.Operator):
    bl_idname = "turboportrait.record"
    bl_label = "Record"
    bl_description = "Keep what the face does from now on"

    def execute(self, context: bpy.types.Context) -> set[str]:
        if following.current is not None:
            following.current.record()
        return {"FINISHED"}


class KeepRecording(PutsKeys, bpy.types.Operator):
    bl_idname = "turboportrait.keep_recording"
    bl_label = "Keep recording"
    bl_description = "Let go of the camera and make keyframes of the recording, in a new action"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if following.current is not None and not following.current.recording:
            cls.poll_message_set(rpt_("Nothing is recorded: press Record first"))
            return False
        return follows(cls)

    def execute(self, context: bpy.types.Context) -> set[str]:
        followed = following.current
        if followed is None:
            return {"CANCELLED"}
        following.stop()
        return self.begin(context, followed.head_name, _recorded(followed))


def _recorded(followed: following.Following) -> Task:
    yield "Setting keyframes"
    return followed.recorded()


CLASSES = (FindCameras, StartCamera, StopCamera, TakeNeutral, RecordCamera, KeepRecording)

register, unregister = bpy.utils.register_classes_factory(CLASSES)
