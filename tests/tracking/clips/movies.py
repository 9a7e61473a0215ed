"""Movies for tests: a portrait that leans in the picture's plane by angles that are known."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

RATE = 25


def leaning(photo: np.ndarray, degrees: Sequence[float], side: int = 320) -> list[np.ndarray]:
    """Pictures (side, side, 3) of a photo turned clockwise as seen about its middle."""
    middle = (photo.shape[1] / 2, photo.shape[0] / 2)
    pictures = []
    for angle in degrees:
        turn = cv2.getRotationMatrix2D(middle, -angle, side / max(photo.shape[:2]))
        turn[:, 2] += side / 2 - np.array(middle)
        pictures.append(
            cv2.warpAffine(photo, turn, (side, side), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
        )
    return pictures


def write_movie(
    path: Path, pictures: Sequence[np.ndarray], times: Sequence[float] | None = None, sound: bool = False
) -> Path:
    """H.264 in the container of the path's suffix; at `RATE`, or with times in seconds that need not be even."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("h264", rate=RATE)
        stream.pix_fmt, stream.options = "yuv420p", {"crf": "16"}
        stream.height, stream.width = pictures[0].shape[:2]
        stream.codec_context.time_base = Fraction(1, 1000)
        tone = container.add_stream("aac", rate=8000, layout="mono") if sound else None
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            frame.pts = round(1000 * (number / RATE if times is None else times[number]))
            frame.time_base = Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if tone is not None:
            samples = np.sin(np.arange(8000 * len(pictures) // RATE) / 3).astype(np.float32)[None]
            wave = av.AudioFrame.from_ndarray(0.3 * samples, "fltp", "mono")
            wave.sample_rate, wave.pts = 8000, 0
            container.mux(tone.encode(wave))
            container.mux(tone.encode())
    return path


def turn_by_metadata(path: Path) -> Path:
    """Mark an MP4 as to be shown a quarter turn clockwise, as phones do: in its track header (ISO 14496-12, 8.3.2)."""
    content = bytearray(path.read_bytes())
    upright = b"".join(n.to_bytes(4, "big") for n in (0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000))
    quarter = (0, 0x10000, 0, 0xFFFF0000, 0, 0, 0, 0, 0x40000000)
    at = content.index(upright, content.index(b"tkhd"))
    content[at : at + 36] = b"".join(n.to_bytes(4, "big") for n in quarter)
    path.write_bytes(content)
    return path
