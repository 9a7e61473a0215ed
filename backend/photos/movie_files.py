"""Movies as files, by PyAV (FFmpeg)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from backend.protocol.files import atomic_file

if TYPE_CHECKING:
    import av


@contextmanager
def h264_movie(
    path: str | Path, rate: Fraction, width: int, height: int, crf: int = 16
) -> Iterator[tuple[av.container.OutputContainer, av.VideoStream]]:
    """An MP4 that is being written, with its stream of H.264 pictures, which is ended afterwards.

    Args:
        rate: pictures per second.
        width, height: pixels, even.
        crf: x264's constant quality; at 16 it is hardly to be told from the pictures.

    Raises:
        TurboPortraitError: as `atomic_file`.
    """
    import av

    with atomic_file(path) as part, av.open(str(part), "w", format="mp4") as container:
        stream = container.add_stream("h264", rate=rate)
        stream.pix_fmt, stream.options = "yuv420p", {"crf": str(crf)}
        stream.width, stream.height = width, height
        yield container, stream
        container.mux(stream.encode())
