"""Pictures of a video in order, upright and with their times, by PyAV (FFmpeg)."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from backend.protocol import limits
from backend.protocol.errors import TurboPortraitError
from backend.protocol.take_rows import RATES

MAX_SIDE = 1920
"""Pixels; larger pictures are scaled down to it, landmarks need no more."""
MAX_PIXELS = 1 << 26
HDR = {16: "PQ", 18: "HLG"}
"""Transfer functions of ITU-T H.273 that are none of an ordinary screen."""
VARYING = 0.2
"""Frames whose time is off the constant rate by this share of a frame make the rate a varying one."""


class VideoFrames:
    """The pictures of a video file; see `CameraFrames` for those of a camera.

    Attributes:
        name: of the file.
        rate: frames per second, as the file says or as its times show.
        count: how many there are about; 0 if nothing tells.
        notes: sentences about the file; complete after the last picture.
    """

    problem = "bad_video"
    """The code of what is wrong with it."""

    def __init__(self, path: str | Path) -> None:
        """Open a file.

        Raises:
            TurboPortraitError: bad_video.
        """
        self.name = Path(path).name
        try:
            self._container = self._open(str(path))
        except (av.FFmpegError, OSError, ValueError) as error:
            raise TurboPortraitError(self.problem, f"{self.name}: {_reason(error)}") from error
        if not self._container.streams.video:
            self.close()
            raise TurboPortraitError(self.problem, f"{self.name}: it has no pictures")
        self._stream = self._container.streams.video[0]
        self._stream.thread_type = "AUTO"
        self.has_sound = bool(self._container.streams.audio)
        self.rate = _known(self._stream.average_rate or self._stream.guessed_rate or Fraction(30))
        seconds = self._container.duration / av.time_base if self._container.duration else 0
        self.count = self._stream.frames or round(seconds * float(self.rate))
        self.notes: list[str] = []

    def _open(self, path: str) -> av.container.InputContainer:
        # Not a name of a protocol or device, which FFmpeg would open, too.
        if not Path(path).is_file():
            raise TurboPortraitError(self.problem, f"{self.name}: there is no such file")
        return av.open(path, options={"protocol_whitelist": "file"})

    def __enter__(self) -> VideoFrames:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._container.close()

    def __iter__(self) -> Iterator[tuple[float, np.ndarray]]:
        """Seconds from the first picture, and the picture (H, W, 3) uint8 sRGB.

        A picture that is damaged is passed over; where the file ends too early, what came before it is kept.

        Raises:
            TurboPortraitError: where not one picture can be read.
        """
        first, last, given, off = None, -1.0, 0, 0
        try:
            for number, frame in enumerate(self._container.decode(self._stream)):
                if frame.width * frame.height > MAX_PIXELS:
                    raise TurboPortraitError(self.problem, f"{self.name}: pictures of {frame.width} x {frame.height}")
                time = number / float(self.rate) if frame.time is None else frame.time
                if first is None:
                    first = time
                    self._look(frame)
                time -= first
                if time <= last:
                    continue
                if time > limits.MAX_PERFORMANCE_SECONDS:
                    self.notes.append("What comes after the first day is left out.")
                    break
                off += abs(time * float(self.rate) - round(time * float(self.rate))) > VARYING
                last, given = time, given + 1
                yield time, picture_of(frame)
        except av.FFmpegError as error:
            if first is None:
                raise TurboPortraitError(self.problem, f"{self.name}: {_reason(error)}") from error
            self.notes.append(f"The video cannot be read beyond frame {given}, second {last:.2f}: {_reason(error)}.")
        if first is None:
            raise TurboPortraitError(self.problem, f"{self.name}: it has no pictures")
        if self.count > 1.05 * given + 2 and not self.notes:
            self.notes.append(f"The video ends after {given} of {self.count} frames: it may have been cut off.")
        if off > 0.05 * given:
            self.notes.append(f"The frame rate varies; the performance has {float(self.rate):g} frames per second.")

    def _look(self, frame: av.VideoFrame) -> None:
        if frame.rotation:
            self.notes.append(f"The video is marked as turned by {frame.rotation} degrees, and was turned upright.")
        if int(frame.color_trc) in HDR:
            kind = HDR[int(frame.color_trc)]
            self.notes.append(f"The video is HDR ({kind}); its colours are read as they are, which tracking stands.")


def picture_of(frame: av.VideoFrame) -> np.ndarray:
    """A frame as (H, W, 3) uint8 sRGB, upright, no side longer than `MAX_SIDE`."""
    scale = min(MAX_SIDE / max(frame.width, frame.height), 1)
    size = [max(round(side * scale / 2) * 2, 2) for side in (frame.width, frame.height)] if scale < 1 else [None] * 2
    image = frame.to_ndarray(format="rgb24", width=size[0], height=size[1])
    return np.ascontiguousarray(np.rot90(image, round(frame.rotation / 90) % 4))


def _known(rate: Fraction) -> Fraction:
    """A rate as cameras name it: what a container measures of 29.97 is 30000/1001."""
    nearest = min(RATES, key=lambda each: abs(float(each - rate)))
    if abs(float(nearest / rate) - 1) < 2e-4:
        return nearest
    return min(max(rate.limit_denominator(1001), Fraction(1)), Fraction(limits.MAX_FRAME_RATE))


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error))[:200]
