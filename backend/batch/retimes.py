"""How fast an edit plays a clip: constant speeds and freezes are honoured, every other retime is refused by name."""

from __future__ import annotations

import math
from typing import Any

import opentimelineio as otio

FCP = "fcp_xml"
"""The key of OpenTimelineIO's metadata that keeps what FCP XML says beyond it."""


class RetimeError(ValueError):
    """A retime that cannot be rendered; the message says why."""


def first_and_speed(clip: otio.schema.Clip, offset: float) -> tuple[float, float]:
    """Where a clip's first picture lies in its media, and how far it goes from one picture to the next.

    Args:
        offset: pictures that are trimmed off its beginning.

    Returns:
        The media's time in frames, and the speed: 1 without a retime, 0 for a freeze.

    Raises:
        RetimeError: it plays backwards, or with a speed that changes.
    """
    start = clip.trimmed_range().start_time.value
    speed = 1.0
    for effect in clip.effects:
        if isinstance(effect, otio.schema.LinearTimeWarp):
            factor = effect.time_scalar
        elif isinstance(effect, otio.schema.TimeEffect):
            raise RetimeError(f"the retime {(effect.name or effect.effect_name)[:60]!r} is no constant speed")
        elif (fcp := _as_dict(effect.metadata.get(FCP))).get("effectid") == "timeremap":
            factor = _remapped(fcp)
            # FCP XML counts the in point in pictures of the retimed media.
            begin = _media_start(clip)
            start = begin + (start - begin) * factor
        else:
            continue
        if not math.isfinite(factor) or factor < 0:
            raise RetimeError("it plays backwards")
        speed *= factor
    return start + offset * speed, speed


def _remapped(effect: dict[str, Any]) -> float:
    """The speed of FCP XML's filter timeremap."""
    given = effect.get("parameter", [])
    parameters = [_as_dict(each) for each in ([given] if hasattr(given, "keys") else given)]
    values = {each.get("parameterid"): str(each.get("value", "")) for each in parameters}
    if values.get("variablespeed", "0") not in ("0", "FALSE"):
        raise RetimeError("its speed changes (variablespeed of timeremap)")
    if values.get("reverse", "FALSE") not in ("0", "FALSE"):
        raise RetimeError("it plays backwards (reverse of timeremap)")
    try:
        return float(values.get("speed", "100")) / 100
    except ValueError:
        raise RetimeError(f"its speed is {values['speed'][:40]!r} (timeremap)") from None


def _media_start(clip: otio.schema.Clip) -> float:
    known = clip.media_reference.available_range if clip.media_reference else None
    return known.start_time.value if known else 0.0


def _as_dict(value: Any) -> dict[str, Any]:
    return dict(value) if hasattr(value, "keys") else {}
