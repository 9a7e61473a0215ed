"""Errors as text for the user.

Blender translates labels, tooltips and reports by itself where they are fixed. Where something is put into a text, the
text is translated first, by `pgettext_iface` (panels) or `pgettext_rpt` (reports), as Blender's own scripts do; so its
tool for translators (Manage UI Translations) finds them all.
"""

from __future__ import annotations

from bpy.app.translations import pgettext_rpt as rpt_

from backend.client import TurboPortraitError
from backend.protocol.errors import ERRORS


def message_of(error: BaseException) -> str:
    """An error as a line for the user, in the user's language as far as it is known there."""
    if not isinstance(error, TurboPortraitError):
        return str(error)
    known, _ = ERRORS.get(error.code, ERRORS["internal"])
    # What is not in the table is a detail after its sentence, or a sentence of its own.
    detail = error.sentence.removeprefix(known) if error.sentence.startswith(known) else None
    sentence = rpt_(error.sentence) if detail is None else rpt_(known) + detail
    return f"{sentence} {rpt_(error.hint)}"
