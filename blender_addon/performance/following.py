"""A head that does what a face before a camera does, while it does it; what is recorded becomes keyframes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import bpy
from bpy.app.handlers import persistent
from bpy.app.translations import pgettext_rpt as rpt_
from mathutils import Matrix

from backend.client import TurboPortraitError
from backend.protocol.head_parameters import HeadParameters
from backend.protocol.performance import Frame, Performance
from backend.protocol.retargeting import from_frame, retargeted

from ..connection.error_text import message_of
from ..connection.link import link
from ..live.profiler import profiler
from ..scene.handlers import register_handlers_factory
from ..scene.parameters import apply_parameters
from ..scene.pose_controls import expression_keys, portrait_parameters
from .capture import FaceCapture
from .keying import head_named, poses_of

TICK_SECONDS = 0.004
MAX_RECORDED = 200_000
"""Frames of one recording: an hour at 50 frames a second."""


@dataclass(frozen=True, eq=False)
class _Pose:
    """How a head stood before it followed, to be given back."""

    bones: dict[str, Matrix]
    keys: dict[str, float]

    @classmethod
    def of(cls, head: bpy.types.Object) -> _Pose:
        bones = {bone.name: bone.matrix_basis.copy() for bone in head.pose.bones}
        return cls(bones, {key.name: key.value for key in expression_keys(head)})

    def restore(self, head: bpy.types.Object) -> None:
        for bone in head.pose.bones:
            bone.matrix_basis = self.bones.get(bone.name, bone.matrix_basis)
        for key in expression_keys(head):
            key.value = self.keys.get(key.name, key.value)


class Following:
    """One head before one camera; main thread only.

    Attributes:
        head_name: whose; a name survives undo, a reference does not.
        recording: frames are kept.
        seen: the camera shows the face; None before the first frame.
    """

    def __init__(self, head: bpy.types.Object, capture: FaceCapture) -> None:
        self.head_name = head.name
        self.recording = False
        self.seen: bool | None = None
        self._capture = capture
        self._before = _Pose.of(head)
        self._neutral: Frame | None = None
        self._renew_neutral = False
        self._newest: Frame | None = None
        self._kept: list[Frame] = []

    @property
    def recorded_frames(self) -> int:
        """How many the recording has."""
        return len(self._kept)

    def take_neutral(self) -> None:
        """What the face does next counts as rest."""
        self._renew_neutral = True

    def record(self) -> None:
        """Keep frames from now on."""
        self._kept, self.recording = [], True

    def recorded(self) -> Performance:
        """What was kept, relative to rest.

        Raises:
            ValueError: nothing.
        """
        return self._relative(self._kept, {})

    def advance(self) -> bool:
        """Take in what has come and have the head do the newest; whether the camera goes on.

        Raises:
            TurboPortraitError: what is wrong with the camera.
            ValueError: the head is gone, or cannot do it.
        """
        newest = None
        for newest in self._capture.frames():
            if self._neutral is None or (self._renew_neutral and newest.confidence > 0):
                self._neutral, self._renew_neutral = newest, False
            if self.recording and len(self._kept) < MAX_RECORDED:
                self._kept.append(newest)
        if newest is not None:
            self.seen = newest.confidence > 0
            self._do(newest)
        return not self._capture.ended

    def close(self) -> None:
        """Let go of the camera; the head stands as before."""
        self._capture.close()
        head = bpy.data.objects.get(self.head_name)
        if head is not None and head.turboportrait.is_head:
            self._before.restore(head)

    def _do(self, frame: Frame) -> None:
        head, settings = head_named(self.head_name), bpy.context.scene.turboportrait_performance
        shown = self._relative([frame], settings.gains)
        base = portrait_parameters(head) if settings.from_portrait else None
        (pose,) = poses_of(head, shown, base or HeadParameters(), settings.travels)
        apply_parameters(head, pose)
        profiler.take("camera", max(time.time() - shown.header.started, 0.0))

    def _relative(self, frames: list[Frame], gains: Mapping[str, float]) -> Performance:
        """Frames as a performance that is relative to rest, which may have been shown long before."""
        header, neutral = self._capture.header, self._neutral
        if header is None or neutral is None or not frames:
            raise ValueError(rpt_("Nothing was recorded: the camera has not shown a face yet"))
        whole = frames if frames[0] is neutral else [neutral, *frames]
        return from_frame(retargeted(Performance.of_frames(header, whole), gains), len(whole) - len(frames))


current: Following | None = None
"""Only one head follows at a time: there is one face before the camera."""


def start(head: bpy.types.Object, capture: FaceCapture) -> Following:
    """Have a head follow."""
    global current
    stop()
    current = Following(head, capture)
    bpy.app.timers.register(_tick)
    return current


def stop() -> None:
    """Let go of the camera."""
    global current
    if current is not None:
        ended, current = current, None
        ended.close()
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)
    redraw_panels()


def redraw_panels() -> None:
    """Have the sidebars show what is new."""
    for window in bpy.context.window_manager.windows if bpy.context.window_manager else ():
        for area in window.screen.areas:
            if area.type == "VIEW_3D":
                area.tag_redraw()


def _tick() -> float | None:
    if current is None:
        return None
    try:
        seen = current.seen
        if not current.advance() and not current.recording:
            stop()
            link.say("The camera has ended")
            return None
        if seen != current.seen:
            redraw_panels()
    except (TurboPortraitError, ValueError) as error:
        stop()
        link.say(message_of(error), failed=True)
        return None
    return TICK_SECONDS


@persistent
def _leave(*_: object) -> None:
    """Another file has other heads."""
    stop()


register, _unregister = register_handlers_factory({"load_pre": _leave})


def unregister() -> None:
    stop()
    _unregister()
