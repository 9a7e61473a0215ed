"""Decode pictures of strangers in a process that can be ended, so that none can hold or crash the one that asks."""

from __future__ import annotations

import atexit
import contextlib
import importlib.util
import io
import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from backend.client.isolation import isolated
from backend.photos import decoding
from backend.photos.formats import PHOTO_FORMATS
from backend.protocol.errors import TurboPortraitError
from backend.protocol.limits import MAX_PHOTO_BYTES

MAX_PIXELS = 100_000_000
MAX_SIDE = 4096
"""Pixels; a larger photo is reduced to this, which still holds more than any crop shows."""
MAX_SECONDS = 20
"""A hundred megapixels take 5 on two slow cores."""
MAX_MEMORY = 3 << 30
"""Bytes of the process's addresses, where the system can bound them (Linux)."""
_PIPE_BYTES = 1 << 20
_NO_WINDOW = 0x08000000


@dataclass(frozen=True)
class Photo:
    """A decoded picture, upright by its EXIF orientation.

    Attributes:
        rgb: (H, W, 3) uint8 sRGB, over white where it is transparent.
        alpha: (H, W) uint8, None where nothing is transparent.
    """

    rgb: np.ndarray
    alpha: np.ndarray | None = None


def decode_photo(data: bytes) -> Photo:
    """Decode a picture file, reduced to at most `MAX_SIDE` pixels a side.

    Raises:
        TurboPortraitError: not_an_image: of another format than `PHOTO_FORMATS`, damaged, or it took too long;
            image_too_large: more than `MAX_PHOTO_BYTES`, `MAX_PIXELS` or `MAX_MEMORY`.
    """
    if len(data) > MAX_PHOTO_BYTES:
        raise _too_large(f"The file has {len(data) / 2**20:.0f} MiB")
    return _decoder.decode(data)


def start_decoder() -> None:
    """Start the process, so that the first picture need not wait for it."""
    _decoder.start()


class _Decoder:
    """One process, started when it is first needed, and again after it was ended."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen | None = None
        self._owner = 0
        atexit.register(self.close)

    def start(self) -> None:
        with self._lock:
            self._running()

    def decode(self, data: bytes) -> Photo:
        with self._lock:
            process = self._running()
            timer = threading.Timer(MAX_SECONDS, process.kill)
            timer.start()
            requests, answers = _pipes(process)
            try:
                requests.write(decoding.REQUEST.pack(len(data), MAX_PIXELS, MAX_SIDE, int(MAX_SECONDS) + 1))
                requests.write(data)
                requests.flush()
                return self._receive(answers)
            except (OSError, EOFError) as error:
                # It crashed, or was ended after `MAX_SECONDS`.
                self._end()
                raise _no_image() from error
            except TurboPortraitError:
                raise
            except BaseException:
                # Interrupted: the next request must not get this one's answer.
                self._end()
                raise
            finally:
                timer.cancel()

    def close(self) -> None:
        with self._lock:
            self._end()

    def _receive(self, answers: io.BufferedReader) -> Photo:
        header = answers.read(decoding.ANSWER.size)
        if len(header) < decoding.ANSWER.size:
            raise EOFError
        status, width, height, channels = decoding.ANSWER.unpack(header)
        if status == decoding.TOO_LARGE:
            raise _too_large(f"The image has {width} x {height} pixels")
        if status == decoding.NO_IMAGE:
            raise _no_image()
        # A picture that took the process over could answer anything.
        if status != decoding.OK or not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE) or channels not in (3, 4):
            raise EOFError
        pixels = np.empty((height, width, channels), np.uint8)
        if answers.readinto(pixels.reshape(-1).data) < pixels.nbytes:
            raise EOFError
        if channels == 3:
            return Photo(pixels)
        return Photo(np.ascontiguousarray(pixels[..., :3]), pixels[..., 3])

    def _running(self) -> subprocess.Popen:
        # After a fork the process is still the parent's.
        if self._process is None or self._process.poll() is not None or self._owner != os.getpid():
            self._process, self._owner = _start(), os.getpid()
        return self._process

    def _end(self) -> None:
        if self._process is not None and self._owner == os.getpid():
            self._process.kill()
            with contextlib.suppress(OSError):
                self._process.communicate()
        self._process = None


def _pipes(process: subprocess.Popen) -> tuple[IO[bytes], io.BufferedReader]:
    """For requests and for answers."""
    assert process.stdin is not None
    assert isinstance(process.stdout, io.BufferedReader)
    return process.stdin, process.stdout


def _start() -> subprocess.Popen:
    # Isolated, and without the .pth files that `site` runs: where Pillow lies is said.
    command = (sys.executable, "-I", "-S", str(Path(decoding.__file__).resolve()))
    specs = map(importlib.util.find_spec, ("PIL", "pillow_heif"))
    packages = {str(Path(spec.origin).parents[1]) for spec in specs if spec and spec.origin}
    try:
        process = subprocess.Popen(
            **isolated((*command, str(MAX_MEMORY), ",".join(PHOTO_FORMATS), *sorted(packages))),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            creationflags=_NO_WINDOW if sys.platform == "win32" else 0,
        )
    except OSError as error:
        raise TurboPortraitError("internal", f"the process that decodes pictures did not start: {error}") from error
    if sys.platform == "linux":
        import fcntl

        with contextlib.suppress(OSError):
            for pipe in _pipes(process):
                fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    return process


def _no_image() -> TurboPortraitError:
    return TurboPortraitError("not_an_image")


def _too_large(what: str) -> TurboPortraitError:
    return TurboPortraitError(
        "image_too_large",
        sentence=f"{what}, more than the {MAX_PHOTO_BYTES >> 20} MiB and {MAX_PIXELS // 1_000_000} megapixels that are "
        "read.",
        hint="Save the photo smaller, or cut it to the head and shoulders.",
    )


_decoder = _Decoder()
