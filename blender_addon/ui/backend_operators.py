"""The buttons for the backend: start, stop, log, installation, cancel, copy the message."""

from __future__ import annotations

from pathlib import Path

import bpy
from bpy.app.translations import pgettext_rpt as rpt_

from ..connection import backend_log, installer
from ..connection.link import link
from .reporting import report

INSTALL_SECONDS = 3600.0


class StartBackend(bpy.types.Operator):
    bl_idname = "turboportrait.start_backend"
    bl_label = "Start backend"
    bl_description = "Connect to the render backend, and start it if it does not run yet"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if link.ready or link.busy:
            cls.poll_message_set(rpt_("The backend runs already"))
        return not link.ready and not link.busy

    def execute(self, context: bpy.types.Context) -> set[str]:
        task = link.client(start=True)
        if not bpy.app.background:
            link.spawn(task, lambda client: link.say("The backend is ready"), cancellable=True)
            return {"FINISHED"}
        return report(self, lambda: link.run(task))


class StopBackend(bpy.types.Operator):
    bl_idname = "turboportrait.stop_backend"
    bl_label = "Stop backend"
    bl_description = "End the backend if this Blender started it, else disconnect from it"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not (link.ready or link.busy or link.owns_process):
            cls.poll_message_set(rpt_("No backend is connected"))
        return link.ready or link.busy or link.owns_process

    def execute(self, context: bpy.types.Context) -> set[str]:
        link.stop()
        return report(self, lambda: link.run(link.until_stopped())) if bpy.app.background else {"FINISHED"}


class ShowLog(bpy.types.Operator):
    bl_idname = "turboportrait.show_log"
    bl_label = "Show log"
    bl_description = "Show what the backend or its installation says, in a text that follows the log"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        text = backend_log.show()
        for area in context.screen.areas if context.screen else ():
            if area.type == "TEXT_EDITOR":
                area.spaces.active.text = text
        self.report({"INFO"}, rpt_("See the text '{name}' in a text editor").format(name=text.name))
        return {"FINISHED"}


class InstallBackend(bpy.types.Operator):
    bl_idname = "turboportrait.install_backend"
    bl_label = "Install full backend"
    bl_description = "Download torch, for GPUs, turbo and GPAvatar, into an environment of its own"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        reason = "Something else is under way" if link.busy else installer.can_install()
        if reason:
            cls.poll_message_set(rpt_(reason))
        return not reason

    @classmethod
    def description(cls, context: bpy.types.Context, properties: bpy.types.OperatorProperties) -> str:
        offer = None if installer.can_install() else installer.offered()
        if offer is None:
            return rpt_(cls.bl_description)
        return f"{rpt_(cls.bl_description)}. {installer.size_text(offer.packages)}"

    def execute(self, context: bpy.types.Context) -> set[str]:
        offer = installer.offered()
        if offer is None:
            return {"CANCELLED"}
        task = installer.install(installer.folder(), offer.python.command, offer.packages)
        if bpy.app.background:
            print(installer.size_text(offer.packages))
            return report(self, lambda: self._tell(link.run(task, INSTALL_SECONDS, report=print)))
        link.spawn(task, self._tell, timeout=INSTALL_SECONDS, cancellable=True)
        return {"FINISHED"}

    @staticmethod
    def _tell(environment: Path) -> None:
        link.say(rpt_("The backend is installed in {folder}: start it").format(folder=environment))


class RemoveBackend(bpy.types.Operator):
    bl_idname = "turboportrait.remove_backend"
    bl_label = "Remove full backend"
    bl_description = "Take away what Install full backend has installed; what came in the zip is used again"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        reason = ""
        if link.busy:
            reason = "Something else is under way"
        elif link.ready or link.owns_process:
            reason = "The backend runs: stop it first"
        elif not installer.installed_python():
            reason = "The full backend is not installed"
        if reason:
            cls.poll_message_set(rpt_(reason))
        return not reason

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        return context.window_manager.invoke_confirm(self, event)

    def execute(self, context: bpy.types.Context) -> set[str]:
        task = installer.remove(installer.folder())
        if bpy.app.background:
            return report(self, lambda: self._tell(link.run(task, INSTALL_SECONDS)))
        link.spawn(task, self._tell, timeout=INSTALL_SECONDS)
        return {"FINISHED"}

    @staticmethod
    def _tell(_: object) -> None:
        link.say("The full backend was removed")


class CancelTask(bpy.types.Operator):
    bl_idname = "turboportrait.cancel"
    bl_label = "Cancel"
    bl_description = "Give up what is under way: an installation, a start or a registration"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not link.can_cancel:
            cls.poll_message_set(rpt_("Nothing is under way that can be cancelled"))
        return link.can_cancel

    def execute(self, context: bpy.types.Context) -> set[str]:
        link.cancel()
        return {"FINISHED"}


class CopyMessage(bpy.types.Operator):
    bl_idname = "turboportrait.copy_message"
    bl_label = "Copy message"
    bl_description = "Copy the panel's last message to the clipboard"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not link.message:
            cls.poll_message_set(rpt_("There is no message yet"))
        return bool(link.message)

    def execute(self, context: bpy.types.Context) -> set[str]:
        context.window_manager.clipboard = link.message
        return {"FINISHED"}


CLASSES = (StartBackend, StopBackend, ShowLog, InstallBackend, RemoveBackend, CancelTask, CopyMessage)

register, unregister = bpy.utils.register_classes_factory(CLASSES)
