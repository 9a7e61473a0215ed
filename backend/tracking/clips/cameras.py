"""Cameras of this machine, and pictures as they come: always the newest, however long the last one's work took."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import av
import numpy as np
from av.device import enumerate_input_devices

from backend.protocol.errors import TurboPortraitError
from backend.tracking.clips.frames import VideoFrames

FORMATS = {"linux": "v4l2", "darwin": "avfoundation", "win32": "dshow"}
"""FFmpeg's input devices."""
WISHES: tuple[dict[str, str], ...] = (
    {"video_size": "640x480", "framerate": "30"},
    {"framerate": "30"},
    {},
)
"""Options in the order in which they are tried: a camera need not have the size or the rate, and landmarks need no
more."""
END_SECONDS = 2.0
"""A camera that gives no picture for so long is not waited for at the end."""


@dataclass(frozen=True)
class CameraDevice:
    """A camera: what FFmpeg calls it, and what people do."""

    address: str
    description: str


def list_cameras() -> list[CameraDevice]:
    """The cameras that the system knows now."""
    try:
        found = enumerate_input_devices(FORMATS[sys.platform])
    except (KeyError, ValueError, av.FFmpegError):
        return []
    return [
        CameraDevice(device.name, device.description)
        for device in found
        if not device.media_types or "video" in device.media_types
    ]


class CameraFrames(VideoFrames):
    """The pictures of a camera; its name is the camera's description."""

    problem = "no_camera"

    def _open(self, address: str) -> av.container.InputContainer:
        # Only what the system lists: FFmpeg would take a name for other devices and for options, too.
        cameras = list_cameras()
        camera = next((each for each in cameras if address in ("", each.address)), None)
        if camera is None:
            known = ", ".join(each.address for each in cameras) or "none"
            raise TurboPortraitError(self.problem, f"{address[:100] or 'the first'}; the system has {known}")
        self.name = camera.description or camera.address
        prefix = "video=" if sys.platform == "win32" else ""
        for options in WISHES:
            try:
                return av.open(prefix + camera.address, format=FORMATS[sys.platform], options=dict(options))
            except av.FFmpegError as error:
                failure = error
        raise failure


class NewestPictures:
    """The newest picture of a source each time that one is asked for; others are dropped.

    Attributes:
        dropped: how many came while the one before was at work.
    """

    def __init__(self, frames: VideoFrames) -> None:
        """Begin to read. The pictures of a file come at the times that it says, as if it were a camera."""
        self.dropped = 0
        self._frames = frames
        self._paced = not isinstance(frames, CameraFrames)
        self._changed = threading.Condition()
        self._newest: tuple[float, np.ndarray] | None = None
        self._failure: BaseException | None = None
        self._ended = False
        self._stop = threading.Event()
        # Seconds since 1970 that no clock's setting makes jump.
        self._epoch = time.time() - time.monotonic()
        self._thread = threading.Thread(target=self._read, name="camera", daemon=True)
        self._thread.start()

    def __enter__(self) -> NewestPictures:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End, and let go of the source."""
        self._stop.set()
        self._thread.join(END_SECONDS)
        if not self._thread.is_alive():
            self._frames.close()

    def __iter__(self) -> Iterator[tuple[float, np.ndarray]]:
        """When it was there (seconds since 1970), and the picture (H, W, 3) uint8 sRGB, until the source ends.

        Raises:
            TurboPortraitError: as `VideoFrames`.
        """
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._newest is not None or self._ended)
                newest, self._newest = self._newest, None
            if newest is not None:
                yield newest
            elif self._failure is not None:
                raise self._failure
            else:
                return

    def _read(self) -> None:
        try:
            began = None
            for seconds, picture in self._frames:
                now = time.monotonic()
                began = now if began is None else began
                if self._stop.wait(max(began + seconds - now, 0.0) if self._paced else 0.0):
                    return
                with self._changed:
                    self.dropped += self._newest is not None
                    self._newest = self._epoch + time.monotonic(), picture
                    self._changed.notify()
        except BaseException as error:
            self._failure = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify()
