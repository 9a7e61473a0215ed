"""The buttons of the live preview: where it is seen, and its figures."""

from __future__ import annotations

import bpy
from bpy.app.translations import pgettext_rpt as rpt_

from backend.client.discovery import state_folder

from ..connection.link import link
from ..live.card import add_card
from ..live.profiler import profiler
from ..render.engine import TurboPortraitEngine
from ..render.view import render_view, request_view
from ..scene.camera_image import image_of_camera, update_image
from ..scene.portrait import PHOTO_COLOURS
from .image_editor import show_in_editor
from .reporting import backend_is_free, has_camera, report

FIGURES_TEXT = "TurboPortrait figures"


def figures_path():
    """The file with the live preview's log."""
    return state_folder() / "live.jsonl"


class _CameraOperator:
    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return has_camera(cls, context)


class AddCard(_CameraOperator, bpy.types.Operator):
    bl_idname = "turboportrait.add_card"
    bl_label = "Add card"
    bl_description = "Add a card before the active camera that shows its live image among the things of the scene"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        return report(self, lambda: add_card(context, context.scene.camera))


class ShowImage(_CameraOperator, bpy.types.Operator):
    bl_idname = "turboportrait.show_image"
    bl_label = "Show image"
    bl_description = "Show the active camera's live image in an image editor, beside the viewport if none is open"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        if not show_in_editor(context.window, image_of_camera(context.scene.camera)):
            self.report({"ERROR"}, "There is no 3D viewport to divide: open an image editor yourself")
            return {"CANCELLED"}
        return {"FINISHED"}


class ShowRendered(bpy.types.Operator):
    bl_idname = "turboportrait.show_rendered"
    bl_label = "Show in viewport"
    bl_description = "Make TurboPortrait3D the scene's render engine and show this viewport as rendered"
    bl_options = {"REGISTER", "UNDO"}

    through_camera: bpy.props.BoolProperty(
        name="Through the camera", description="Look through the active camera, if there is one", default=True
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if context.space_data is None or context.space_data.type != "VIEW_3D":
            cls.poll_message_set(rpt_("Use this in a 3D viewport"))
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        context.scene.render.engine = TurboPortraitEngine.bl_idname
        context.space_data.shading.type = "RENDERED"
        if self.through_camera and context.scene.camera is not None:
            context.space_data.region_3d.view_perspective = "CAMERA"
        return {"FINISHED"}


class RenderView(bpy.types.Operator):
    bl_idname = "turboportrait.render_view"
    bl_label = "Render view to image"
    bl_description = "Render what the active camera sees of the heads into the image named after that camera"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return backend_is_free(cls) and has_camera(cls, context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            heads, options, width, height = request_view(context)
        except ValueError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        if not heads:
            self.report({"ERROR"}, "No visible head has a portrait: register one first")
            return {"CANCELLED"}
        name = context.scene.camera.name
        # Made now, so that it is part of this undo step; its pixels come when the backend is through.
        image_of_camera(context.scene.camera)

        def show(rgba) -> None:
            camera = bpy.data.objects.get(name)
            if camera is not None:
                image = update_image(camera, rgba)
                link.say(rpt_("The image '{name}' is up to date").format(name=image.name))

        task = render_view(heads, options, width, height)
        if bpy.app.background:
            return report(self, lambda: show(link.run(task)))
        link.spawn(task, show)
        return {"FINISHED"}


class UsePhotoColors(bpy.types.Operator):
    bl_idname = "turboportrait.use_photo_colors"
    bl_label = "Show the photo's colours"
    bl_description = "Set the scene's view transform to Standard, so that heads look as in their photos"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        context.scene.view_settings.view_transform = PHOTO_COLOURS
        return {"FINISHED"}


class LogFigures(bpy.types.Operator):
    bl_idname = "turboportrait.log_figures"
    bl_label = "Log figures"
    bl_description = "Begin a log of every call and latency of the live preview, as lines of JSON, or end it"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        if not profiler.logging:
            profiler.reset()
            return report(self, lambda: profiler.log_to(figures_path()))
        profiler.log_to(None)
        text = bpy.data.texts.get(FIGURES_TEXT) or bpy.data.texts.new(FIGURES_TEXT)
        text.from_string(figures_path().read_text(encoding="utf-8"))
        said = rpt_("The log is in {path} and in the text '{name}'")
        self.report({"INFO"}, said.format(path=figures_path(), name=FIGURES_TEXT))
        return {"FINISHED"}


CLASSES = (AddCard, ShowImage, ShowRendered, RenderView, UsePhotoColors, LogFigures)
_register_classes, _unregister_classes = bpy.utils.register_classes_factory(CLASSES)


def register() -> None:
    _register_classes()


def unregister() -> None:
    profiler.log_to(None)
    _unregister_classes()
