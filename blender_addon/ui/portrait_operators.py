"""The buttons that add heads: the open head, a head model of one's own, a portrait."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import bpy
from bpy.app.translations import pgettext_rpt as rpt_
from bpy_extras.io_utils import ImportHelper

from backend.client import TurboPortraitError
from flame import load_head_model

from ..connection import preferences
from ..connection.connect import can_reach
from ..connection.error_text import message_of
from ..connection.inspection import inspect_photo
from ..connection.link import BUSY_SECONDS, link
from ..connection.requests import register_portrait
from ..connection.tasks import Task
from ..live import session
from ..scene.camera_moves import view_head
from ..scene.head import add_head, head_of
from ..scene.portrait import PHOTO_COLOURS, packed_image, portrait_bytes, read_photo, show_avatar
from ..scene.texture import image_key
from .head_operators import active_head
from .image_editor import show_in_editor
from .reporting import backend_is_free, report, report_failure

IMAGE_FILES = "*.jpg;*.jpeg;*.jfif;*.png;*.heic;*.heif;*.avif;*.webp;*.jp2;*.gif;*.tif;*.tiff;*.bmp"
"""What the backend decodes (`backend.photos`)."""


class AddHead(bpy.types.Operator):
    bl_idname = "turboportrait.add_head"
    bl_label = "Add head"
    bl_description = "Add the open head, without a portrait: mesh, shape keys and armature"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        return report(self, lambda: add_head(context, load_head_model(), "Head"))


class LoadHead(bpy.types.Operator, ImportHelper):
    bl_idname = "turboportrait.load_head"
    bl_label = "Load head model"
    bl_description = "Add a head from a FLAME-format head model file of your own (.npz or .pkl)"
    bl_options = {"REGISTER", "UNDO"}

    filename_ext = ".npz"
    filter_glob: bpy.props.StringProperty(default="*.npz;*.pkl", options={"HIDDEN"})

    def execute(self, context: bpy.types.Context) -> set[str]:
        path = bpy.path.abspath(self.filepath)
        return report(self, lambda: add_head(context, load_head_model(path), Path(path).stem))


class _Registering:
    """Registers a photo and shows its avatar, while the user works on.

    Attributes:
        maker, head_model, face: see `Register`.
        report, poll_message_set: the operator's own.
    """

    report: Callable[..., None]
    poll_message_set: ClassVar[Callable[..., None]]
    maker: str
    head_model: str
    face: int

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not backend_is_free(cls):
            return False
        if context.mode not in {"OBJECT", "POSE"}:
            cls.poll_message_set(rpt_("Leave this mode for Object Mode or Pose Mode"))
            return False
        if not link.ready and not can_reach(preferences.connection()):
            cls.poll_message_set(rpt_("There is no backend yet: see the first step of the TurboPortrait panel"))
            return False
        return True

    def begin(self, context: bpy.types.Context, head: bpy.types.Object | None, path: str, photo: bytes) -> set[str]:
        """Register the photo that lies at a path; a head that is given gets it."""
        # Undo may happen while the backend works: a name survives it, a reference does not.
        self._head = head.name if head else ""
        self._path, self._photo = path, photo
        if bpy.app.background:
            return report(self, lambda: self._finish(context, link.run(self._task())))
        self._outcome: list[tuple] = []
        self._failure: list[Exception] = []
        link.spawn(self._task(), self._outcome.append, self._failure.append, cancellable=True)
        self._timer = context.window_manager.event_timer_add(2 * BUSY_SECONDS, window=context.window)
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Let the user work on until the link has the avatar, then build the head as one undo step."""
        done = self._outcome or self._failure
        # In edit mode or amid a stroke no head can be built: wait until the user is through.
        if event.type != "TIMER" or not done or context.mode not in {"OBJECT", "POSE"}:
            return {"PASS_THROUGH"}
        context.window_manager.event_timer_remove(self._timer)
        if self._failure:
            return report_failure(self, self._failure[0])
        return report(self, lambda: self._finish(context, self._outcome[0]))

    def cancel(self, context: bpy.types.Context) -> None:
        """Another file was opened: nothing is left to give the head to."""
        context.window_manager.event_timer_remove(self._timer)

    def finished(self, context: bpy.types.Context, head: bpy.types.Object, is_new: bool) -> None:
        """The avatar is shown."""

    def _task(self) -> Task:
        client = yield from link.client()
        return (yield from register_portrait(client, self._photo, self.maker, self.head_model, self.face))

    def _finish(self, context: bpy.types.Context, outcome: tuple) -> None:
        registered, mesh = outcome
        head = show_avatar(context, bpy.data.objects.get(self._head), self._path, self._photo, registered, mesh)
        head.turboportrait.portrait_face = self.face
        head.turboportrait.several_faces = self.face > 0 or any(w.code == "several_faces" for w in registered.warnings)
        # The same photo is the same avatar: what failed for want of it need not any more.
        session.retry()
        self.finished(context, head, is_new=not self._head)
        for warning in registered.warnings:
            self.report({"WARNING"}, rpt_(warning.sentence))
        link.say(rpt_("{head} is ready").format(head=head.name))


class RegisterPortrait(_Registering, bpy.types.Operator, ImportHelper):
    bl_idname = "turboportrait.register_portrait"
    bl_label = "Register portrait"
    bl_description = "Turn a portrait photo into a head; the selected head gets it, or a new one"
    bl_options = {"REGISTER", "UNDO"}

    filename_ext = ".jpg"
    filter_glob: bpy.props.StringProperty(default=IMAGE_FILES, options={"HIDDEN"})
    maker: bpy.props.StringProperty(name="Maker", description="How the backend makes the avatar", default="bust")
    head_model: bpy.props.StringProperty(
        name="Head model", description="The backend's head model that is fitted", default="open_head"
    )
    face: bpy.props.IntProperty(
        name="Face", description="Of several faces, counted from 1 at the left; 0 for the largest", min=0, max=99
    )
    new_head: bpy.props.BoolProperty(
        name="As a new head", description="Add a head even if one is selected", default=False
    )
    look: bpy.props.BoolProperty(
        name="Look at it", description="Bring a new head into view in the 3D viewport, with its photo", default=True
    )
    photo_colors: bpy.props.BoolProperty(
        name="Show the photo's colours",
        description="Set the scene's view transform to Standard, so that the head looks as in the photo",
        default=True,
    )

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            photo = read_photo(bpy.path.abspath(self.filepath))
        except TurboPortraitError as error:
            self.report({"ERROR"}, message_of(error))
            return {"CANCELLED"}
        return self.begin(context, None if self.new_head else head_of(context.object), self.filepath, photo)

    def finished(self, context: bpy.types.Context, head: bpy.types.Object, is_new: bool) -> None:
        if is_new and self.look:
            view_head(context, head)
        if self.photo_colors:
            context.scene.view_settings.view_transform = PHOTO_COLOURS


class ChooseFace(_Registering, bpy.types.Operator):
    bl_idname = "turboportrait.choose_face"
    bl_label = "Choose the face"
    bl_description = "Give the head another of its photo's faces, counted from 1 at the left"
    bl_options = {"REGISTER", "UNDO"}

    face: bpy.props.IntProperty(name="Face", description="Counted from 1 at the left", min=1, max=99, default=1)

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return _head_with_portrait(cls, context) is not None and super().poll(context)

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        return context.window_manager.invoke_props_dialog(self)

    def execute(self, context: bpy.types.Context) -> set[str]:
        head = _head_with_portrait(type(self), context)
        if head is None:
            return {"CANCELLED"}
        properties = head.turboportrait
        self.maker, self.head_model = properties.maker, properties.head_model
        try:
            photo = _photo_of(head)
        except ValueError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return self.begin(context, head, properties.portrait.filepath, photo)


def _head_with_portrait(cls: type[bpy.types.Operator], context: bpy.types.Context) -> bpy.types.Object | None:
    """The active head if it has a photo; else the poll message says what is missing."""
    head = active_head(cls, context)
    if head is not None and head.turboportrait.portrait is None:
        cls.poll_message_set(rpt_("This head has no portrait: register one first"))
        return None
    return head


def _photo_of(head: bpy.types.Object) -> bytes:
    """The file's bytes; raises ValueError where they are lost."""
    properties = head.turboportrait
    photo = portrait_bytes(image_key(properties.portrait), properties.portrait_sha256)
    if not photo:
        raise ValueError(rpt_("The head's photo is lost: register it again"))
    return photo


class InspectPortrait(bpy.types.Operator):
    bl_idname = "turboportrait.inspect_portrait"
    bl_label = "Inspect portrait"
    bl_description = (
        "Show what was understood of the head's photo: the crop, the landmarks, the regions and what was cut out"
    )
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if _head_with_portrait(cls, context) is None:
            return False
        return backend_is_free(cls)

    def execute(self, context: bpy.types.Context) -> set[str]:
        return report(self, lambda: self._inspect(context))

    @staticmethod
    def _inspect(context: bpy.types.Context) -> None:
        head = _head_with_portrait(InspectPortrait, context)
        if head is None:
            return
        properties, photo = head.turboportrait, _photo_of(head)
        name, window = f"{Path(properties.portrait.name).stem} inspected", context.window
        task = inspect_photo(photo, properties.head_model, properties.portrait_face)

        def show(picture: bytes) -> None:
            image = packed_image(name, picture)
            if window is None or not show_in_editor(window, image):
                link.say(rpt_("See the image '{name}' in an image editor").format(name=image.name))
            else:
                link.say("From left to right: photo and crop, landmarks, regions, what was cut out")

        if bpy.app.background:
            show(link.run(task))
        else:
            link.spawn(task, show, cancellable=True)


CLASSES = (AddHead, LoadHead, RegisterPortrait, ChooseFace, InspectPortrait)

register, unregister = bpy.utils.register_classes_factory(CLASSES)
