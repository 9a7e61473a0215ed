"""The buttons of the shot list: fill it, render it, stop, look."""

from __future__ import annotations

import time
from pathlib import Path

import bpy
from bpy.app.translations import pgettext_rpt as rpt_
from bpy_extras.io_utils import ImportHelper

from ..connection.link import link
from ..shots import batch_runs
from .reporting import backend_is_free, report

WAIT_SECONDS = 0.1


class ShotsFromMarkers(bpy.types.Operator):
    bl_idname = "turboportrait.shots_from_markers"
    bl_label = "Shots from markers"
    bl_description = "List a shot for each timeline marker that is bound to a camera"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        batch_runs.take_markers(context.scene)
        if not context.scene.turboportrait_shots.items:
            self.report({"WARNING"}, "No marker is bound to a camera: select a camera and use Bind Camera to Markers")
        return {"FINISHED"}


class LoadShots(bpy.types.Operator, ImportHelper):
    bl_idname = "turboportrait.load_shots"
    bl_label = "Load shot list"
    bl_description = "List the shots of an edit (OTIO, EDL, FCP XML) or of a CSV file"
    bl_options = {"REGISTER", "UNDO"}

    filename_ext = ".otio"
    filter_glob: bpy.props.StringProperty(default="*.otio;*.edl;*.xml;*.csv;*.aaf", options={"HIDDEN"})

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return backend_is_free(cls)

    def execute(self, context: bpy.types.Context) -> set[str]:
        path, name = bpy.path.abspath(self.filepath), context.scene.name
        rate = context.scene.render.fps / context.scene.render.fps_base

        def show(shots) -> None:
            scene = bpy.data.scenes.get(name)
            if scene is not None:
                batch_runs.fill(scene, shots)
                scene.turboportrait_shots.file = path
                link.say(rpt_("{count} shots were read").format(count=len(shots)))

        task = batch_runs.read_shot_list(path, rate)
        if bpy.app.background:
            return report(self, lambda: show(link.run(task)))
        link.spawn(task, show)
        return {"FINISHED"}


class RenderShots(bpy.types.Operator):
    bl_idname = "turboportrait.render_shots"
    bl_label = "Render shots"
    bl_description = "Render shots by a process of its own; it goes on if Blender is closed, and again where it stopped"

    chosen_only: bpy.props.BoolProperty(
        name="Chosen only", description="Render the shots that are ticked, not all of the list", default=False
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        run = batch_runs.run_of(context.scene)
        if run is not None and run.running:
            cls.poll_message_set(rpt_("The shots are being rendered"))
            return False
        if not context.scene.turboportrait_shots.items:
            cls.poll_message_set(rpt_("List shots first: from the timeline's markers, or from a file"))
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        items = context.scene.turboportrait_shots.items
        names = [item.name for item in items if item.chosen] if self.chosen_only else None
        if names == []:
            self.report({"ERROR"}, "No shot is ticked")
            return {"CANCELLED"}
        done = report(self, lambda: batch_runs.start(context.scene, names))
        run = batch_runs.run_of(context.scene)
        if done == {"FINISHED"} and run is not None and bpy.app.background:
            while run.running or not run.progress.finished:
                run.poll()
                time.sleep(WAIT_SECONDS)
            for problem in run.progress.problems:
                self.report({"ERROR"}, problem)
        return done


class StopShots(bpy.types.Operator):
    bl_idname = "turboportrait.stop_shots"
    bl_label = "Stop shots"
    bl_description = "Stop rendering shots; the frames that are done stay, and Render goes on with the others"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        run = batch_runs.run_of(context.scene)
        if run is None or not run.running:
            cls.poll_message_set(rpt_("No shots are being rendered"))
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        run = batch_runs.run_of(context.scene)
        return {"CANCELLED"} if run is None else report(self, run.stop)


class ShowContactSheet(bpy.types.Operator):
    bl_idname = "turboportrait.show_contact_sheet"
    bl_label = "Contact sheet"
    bl_description = "Open the page with thumbnails, movies, timings and failures in a web browser"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if _contact_sheet(context.scene) is None:
            cls.poll_message_set(rpt_("There is no contact sheet yet: render shots first"))
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        sheet = _contact_sheet(context.scene)
        if sheet is None:
            return {"CANCELLED"}
        bpy.ops.wm.url_open(url=sheet.as_uri())
        return {"FINISHED"}


def _contact_sheet(scene: bpy.types.Scene) -> Path | None:
    """The page of the scene's output folder, where there is one."""
    folder = batch_runs.output_folder(scene)
    return folder / "index.html" if folder is not None and (folder / "index.html").is_file() else None


CLASSES = (ShotsFromMarkers, LoadShots, RenderShots, StopShots, ShowContactSheet)

register, unregister = bpy.utils.register_classes_factory(CLASSES)
