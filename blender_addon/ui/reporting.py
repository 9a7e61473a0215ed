"""How operators tell the user what went wrong, or what they lack."""

from __future__ import annotations

from collections.abc import Callable

import bpy
from bpy.app.translations import pgettext_rpt as rpt_

from backend.client import TurboPortraitError
from flame import HeadModelError

from ..connection.error_text import message_of
from ..connection.link import link


def report(operator: bpy.types.Operator, work: Callable[[], object]) -> set[str]:
    """Do the work; what is wrong becomes a report to the user."""
    try:
        work()
    except (TurboPortraitError, HeadModelError, ValueError, OSError) as error:
        link.say(message_of(error), failed=True)
        operator.report({"ERROR"}, message_of(error))
        return {"CANCELLED"}
    return {"FINISHED"}


def report_failure(operator: bpy.types.Operator, error: Exception) -> set[str]:
    """What a task has failed with; who has pressed Cancel need not be told of it."""
    if not (isinstance(error, TurboPortraitError) and error.code == "cancelled"):
        operator.report({"ERROR"}, message_of(error))
    return {"CANCELLED"}


def backend_is_free(operator: type[bpy.types.Operator]) -> bool:
    """The backend does nothing that one waits for; where it does, the operator's poll message says so."""
    if link.busy:
        operator.poll_message_set(rpt_("The backend is at work: wait until it is done"))
    return not link.busy


def has_camera(operator: type[bpy.types.Operator], context: bpy.types.Context) -> bool:
    """The scene has a camera; where it has none, the operator's poll message says so."""
    if context.scene.camera is None:
        operator.poll_message_set(rpt_("The scene has no camera: add one or make one active"))
    return context.scene.camera is not None
