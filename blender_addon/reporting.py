"""How operators tell the user what went wrong."""

from __future__ import annotations

from collections.abc import Callable

import bpy

from backend.client import TurboPortraitError
from flame import HeadModelError

from .backend_link import link, message_of


def report(operator: bpy.types.Operator, work: Callable[[], object]) -> set[str]:
    """Do the work; what is wrong becomes a report to the user."""
    try:
        work()
    except (TurboPortraitError, HeadModelError, ValueError, OSError) as error:
        link.say(message_of(error), failed=True)
        operator.report({"ERROR"}, message_of(error))
        return {"CANCELLED"}
    return {"FINISHED"}
