"""What the extension keeps in a .blend file about performances."""

from __future__ import annotations

from fractions import Fraction

import bpy

from backend.protocol.arkit import REGIONS
from backend.protocol.take_rows import RATES

from ..shots.properties import BESIDE_THE_BLEND


def _gain(name: str, description: str) -> bpy.props.FloatProperty:
    return bpy.props.FloatProperty(name=name, description=description, default=1.0, min=0.0, max=5.0, soft_max=2.0)


_SHOWN = "SHOWN"
_RATES = [
    (_SHOWN, "As the take shows", "The lowest usual rate that has all frames of the timecode, or what the file says"),
    *((str(rate), f"{float(rate):.5g}", "") for rate in sorted(RATES)),
]


class PerformanceProperties(bpy.types.PropertyGroup):
    """On every scene."""

    file: bpy.props.StringProperty(
        name="Video or take",
        description="A video, a performance, the CSV of Live Link Face or the JSON of MediaPipe's face landmarker",
        subtype="FILE_PATH",
        options=BESIDE_THE_BLEND,
    )
    start: bpy.props.IntProperty(name="Start frame", description="The frame of the first key", default=1)
    face: bpy.props.IntProperty(
        name="Face", description="Of several faces in a video, counted from 1 at the left; 0 for the largest", min=0
    )
    neutral: bpy.props.FloatProperty(
        name="Neutral at",
        description="The second of a video at which the face is at rest; negative for its first picture",
        default=-1.0,
        min=-1.0,
        subtype="TIME_ABSOLUTE",
        unit="TIME_ABSOLUTE",
    )
    take_rate: bpy.props.EnumProperty(
        name="Rate of a take",
        description="Frames per second that the timecode of a take counts: it does not tell 29.97 from 30",
        items=_RATES,
    )
    from_portrait: bpy.props.BoolProperty(
        name="From the portrait's expression",
        description="Play on top of what the portrait shows, not of a face at rest",
        default=True,
    )
    travels: bpy.props.BoolProperty(
        name="Move the neck, too", description="Move the whole head as the person moved before the camera"
    )
    tolerance: bpy.props.FloatProperty(
        name="Tolerance",
        description="By how much the curves may leave the performance: the larger, the fewer keys",
        default=0.004,
        min=0.0,
        max=0.2,
        precision=4,
    )
    brows: _gain("Brows", "Times as much of the brows")
    lids: _gain("Lids", "Times as much of the lids")
    mouth: _gain("Mouth", "Times as much of mouth, jaw, cheeks and nose")
    head: _gain("Head", "Times as much of the head's turns")
    gaze: _gain("Gaze", "Times as much of the eyes' turns")

    @property
    def rate(self) -> Fraction | None:
        """Frames per second of a take; None for what it shows."""
        return None if self.take_rate == _SHOWN else Fraction(self.take_rate)

    @property
    def gains(self) -> dict[str, float]:
        """By region."""
        return {region: getattr(self, region) for region in REGIONS}


def _cameras(settings: bpy.types.PropertyGroup, context: bpy.types.Context, typed: str) -> list[tuple[str, str]]:
    return [tuple(line.split("\t")) for line in settings.known.splitlines()]


class CaptureProperties(bpy.types.PropertyGroup):
    """On the window manager: cameras are the machine's, and no file of a stranger chooses one."""

    source: bpy.props.StringProperty(
        name="Camera",
        description="The camera, empty for the first one; or a video, which plays as if it were one",
        search=_cameras,
        search_options={"SUGGESTION"},
    )
    known: bpy.props.StringProperty(
        name="Known cameras",
        description="The cameras that were found, one a line",
        options={"HIDDEN"},
    )


CLASSES = (PerformanceProperties, CaptureProperties)
_register_classes, _unregister_classes = bpy.utils.register_classes_factory(CLASSES)


def register() -> None:
    _register_classes()
    bpy.types.Scene.turboportrait_performance = bpy.props.PointerProperty(type=PerformanceProperties)
    bpy.types.WindowManager.turboportrait_capture = bpy.props.PointerProperty(type=CaptureProperties)


def unregister() -> None:
    del bpy.types.WindowManager.turboportrait_capture
    del bpy.types.Scene.turboportrait_performance
    _unregister_classes()
