"""The buttons of a performance: choose a file, put it onto the head, save it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import bpy
from bpy.app.translations import pgettext_rpt as rpt_
from bpy_extras.io_utils import ExportHelper, ImportHelper

from backend.protocol.performance import Performance

from ..connection.link import BUSY_SECONDS, link
from ..connection.tasks import Task
from ..performance import source
from ..performance.keying import Keying, put_onto
from .head_operators import active_head
from .reporting import backend_is_free, report, report_failure

_last: Performance | None = None
"""What was put onto a head last, as it was tracked, read or recorded."""


class ChoosePerformance(bpy.types.Operator, ImportHelper):
    bl_idname = "turboportrait.choose_performance"
    bl_label = "Choose video or take"
    bl_description = "Choose a video, a performance or a face-capture take"
    bl_options = {"REGISTER", "UNDO"}

    filename_ext = ".mp4"
    filter_glob: bpy.props.StringProperty(default=f"{source.VIDEO_FILES};{source.TAKE_FILES}", options={"HIDDEN"})

    def execute(self, context: bpy.types.Context) -> set[str]:
        context.scene.turboportrait_performance.file = self.filepath
        return {"FINISHED"}


class PutsKeys:
    """What gives a head the keys of a performance: the user works on until they are computed.

    Attributes:
        report: the operator's own.
    """

    report: Callable[..., None]
    bl_options = {"REGISTER", "UNDO"}

    def begin(self, context: bpy.types.Context, head: str, task: Task) -> set[str]:
        """Put the performance that a task brings onto a head, by its name."""
        settings = context.scene.turboportrait_performance
        # Undo may happen while the backend works: a name survives it, a reference does not.
        self._head = head
        self._keying = Keying(
            settings.start, settings.gains, settings.from_portrait, settings.travels, settings.tolerance
        )
        if bpy.app.background:
            return report(self, lambda: self._finish(link.run(self._work(task), timeout=source.SECONDS)))
        self._outcome: list[tuple] = []
        self._failure: list[Exception] = []
        link.spawn(
            self._work(task), self._outcome.append, self._failure.append, timeout=source.SECONDS, cancellable=True
        )
        self._timer = context.window_manager.event_timer_add(2 * BUSY_SECONDS, window=context.window)
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Let the user work on until the keys are computed, then set them as one undo step."""
        if event.type != "TIMER" or not (self._outcome or self._failure):
            return {"PASS_THROUGH"}
        context.window_manager.event_timer_remove(self._timer)
        if self._failure:
            return report_failure(self, self._failure[0])
        return report(self, lambda: self._finish(self._outcome[0]))

    def cancel(self, context: bpy.types.Context) -> None:
        """Another file was opened: there is no head to give keys to."""
        context.window_manager.event_timer_remove(self._timer)

    def _work(self, task: Task) -> Task:
        performance: Performance = yield from task
        set_keys = yield from put_onto(self._head, performance, self._keying)
        return performance, set_keys

    def _finish(self, outcome: tuple) -> None:
        global _last
        performance, set_keys = outcome
        said = set_keys()
        _last = performance
        for sentence in performance.header.notes:
            self.report({"WARNING"}, sentence)
        link.say(said)
        self.report({"INFO"}, said)


class ApplyPerformance(PutsKeys, bpy.types.Operator):
    bl_idname = "turboportrait.apply_performance"
    bl_label = "Put onto head"
    bl_description = "Make keyframes of the video or take, in a new action; what the head did before goes into the NLA"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not backend_is_free(cls):
            return False
        if not context.scene.turboportrait_performance.file:
            cls.poll_message_set(rpt_("Choose a video or a take first"))
            return False
        return active_head(cls, context) is not None

    def execute(self, context: bpy.types.Context) -> set[str]:
        settings = context.scene.turboportrait_performance
        task = source.load(bpy.path.abspath(settings.file), settings.face, settings.neutral, settings.rate)
        head = active_head(type(self), context)
        return {"CANCELLED"} if head is None else self.begin(context, head.name, task)


class SavePerformance(bpy.types.Operator, ExportHelper):
    bl_idname = "turboportrait.save_performance"
    bl_label = "Save performance"
    bl_description = "Write what was put onto a head last as a file, for other scenes and for the command line"

    filename_ext = ".jsonl"
    filepath: bpy.props.StringProperty(
        name="File path", description="The performance to be written", subtype="FILE_PATH"
    )
    filter_glob: bpy.props.StringProperty(default="*.jsonl", options={"HIDDEN"})

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if _last is None:
            cls.poll_message_set(rpt_("Put a performance onto a head first"))
        return _last is not None

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if _last is not None and not self.filepath:
            self.filepath = f"{Path(_last.header.source).stem or 'performance'}.jsonl"
        return super().invoke(context, event)

    def execute(self, context: bpy.types.Context) -> set[str]:
        return report(self, lambda: _last.save(self.filepath)) if _last is not None else {"CANCELLED"}


CLASSES = (ChoosePerformance, ApplyPerformance, SavePerformance)

register, unregister = bpy.utils.register_classes_factory(CLASSES)
