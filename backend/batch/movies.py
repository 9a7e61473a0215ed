"""A movie per shot and view: H.264 to look at, ProRes 4444 with alpha to edit with."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Sequence
from fractions import Fraction
from itertools import product
from pathlib import Path

import msgspec
import numpy as np

from backend.batch.checksums import software_version
from backend.batch.images import read_rgba
from backend.batch.job import PARTS, RECORDS
from backend.batch.metadata import KEY, SYNTHETIC, as_json
from backend.batch.patterns import output_file
from backend.batch.plan import Plan
from backend.batch.records import OutputRecord, RecordFile
from backend.protocol import pictures
from backend.protocol.errors import TurboPortraitError
from backend.protocol.files import atomic_file
from backend.protocol.pictures import to_srgb

KINDS = {"h264": ".mp4", "prores": ".mov"}


class MovieTask(msgspec.Struct, frozen=True):
    """A shot's movie.

    Attributes:
        frames: paths below the output folder, in order.
        timecode: of the first picture; empty where its frame has none.
        background: linear RGB behind the heads, for the kind without alpha.
    """

    shot: str
    kind: str
    key: str
    path: str
    frames: tuple[str, ...]
    fps: tuple[int, int]
    width: int
    height: int
    background: tuple[float, float, float]
    timecode: str = ""


def movie_tasks(plan: Plan, kinds: Sequence[str]) -> list[MovieTask]:
    """The movies of all shots, one per view."""
    header = plan.poses.header
    tasks = []
    for shot, start, stop in zip(plan.shots, plan.starts[:-1], plan.starts[1:], strict=True):
        for (number, view), kind in product(enumerate(header.views), kinds):
            numbers = range(start + number, stop, plan.views)
            keys = " ".join(plan.keys[each] for each in numbers)
            content = f"{kind} {header.fps} {header.background} {shot.first} {keys}"
            tasks.append(
                MovieTask(
                    shot.name,
                    kind,
                    hashlib.sha256(content.encode()).hexdigest(),
                    f"{shot.name}{view.suffix}{KINDS[kind]}",
                    tuple(map(plan.path, numbers)),
                    header.fps,
                    shot.width,
                    shot.height,
                    header.background,
                    start_timecode(shot.first, Fraction(*header.fps)),
                )
            )
    return tasks


def start_timecode(frame: int, rate: Fraction) -> str:
    """A frame of the scene as an editor counts it, without dropped numbers; empty below 0 and beyond a day."""
    nominal = round(rate)
    seconds, frames = divmod(frame, nominal)
    # Timecodes know rates that are whole, or whole but for a thousandth.
    if not 0 <= seconds < 24 * 3600 or rate not in (nominal, Fraction(nominal * 1000, 1001)):
        return ""
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}:{frames:02d}"


def make_movie(task: MovieTask, output: Path, job: Path) -> OutputRecord:
    """Make a movie of frames that exist; a failure is a record that says why."""
    record = OutputRecord(task.key, task.shot, None, task.path)
    started = time.perf_counter()
    try:
        path = output_file(output, task.path, KINDS.values())
        with atomic_file(path, job / PARTS) as part:
            _encode(task, [output / name for name in task.frames], part)
            size = part.stat().st_size
        seconds = {"movie": round(time.perf_counter() - started, 3)}
        made = msgspec.structs.replace(record, bytes=size, seconds=seconds)
        RecordFile(job / RECORDS).add([made])
        return made
    except Exception as error:
        record = record.failed(error)
    with contextlib.suppress(TurboPortraitError):
        RecordFile(job / RECORDS).add([record])
    return record


def _encode(task: MovieTask, frames: Sequence[Path], path: Path) -> None:
    import av

    rate = Fraction(*task.fps)
    with av.open(str(path), "w", format="mp4" if task.kind == "h264" else "mov", options=_CONTAINER) as container:
        container.metadata["title"] = task.shot
        if task.timecode:
            container.metadata["timecode"] = task.timecode
        container.metadata["comment"] = SYNTHETIC
        container.metadata[KEY] = as_json({"shot": task.shot, "software": f"TurboPortrait3D {software_version()}"})
        if task.kind == "h264":
            stream = container.add_stream("libx264", rate=rate, options={"crf": "16"})
            stream.pix_fmt = "yuv420p"
        else:
            stream = container.add_stream("prores_ks", rate=rate, options={"profile": "4444", "alpha_bits": "16"})
            stream.pix_fmt = "yuva444p10le"
        # H.264 with 4:2:0 colour needs even sides: an odd one gets one more row or column.
        even = task.kind == "h264"
        stream.width, stream.height = task.width + task.width % 2 * even, task.height + task.height % 2 * even
        stream.color_primaries = stream.color_trc = stream.colorspace = _BT709
        for index, frame_path in enumerate(frames):
            rgba = read_rgba(frame_path)
            if even:
                padding = ((0, stream.height - rgba.shape[0]), (0, stream.width - rgba.shape[1]), (0, 0))
                picture = np.pad(over(rgba, task.background), padding, mode="edge")
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            else:
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgba), format="rgba")
            frame = frame.reformat(format=stream.pix_fmt, dst_colorspace=_BT709)
            frame.pts = index
            frame.time_base = 1 / rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


_BT709 = 1
"""H.273's code for primaries, transfer and matrix."""
_CONTAINER = {"movflags": "use_metadata_tags+faststart"}


def over(rgba: np.ndarray, background: Sequence[float]) -> np.ndarray:
    """A picture (H, W, 4) uint8 with straight alpha over linear RGB, in linear light: (H, W, 3) uint8."""
    return to_srgb(pictures.over(pictures.premultiplied(rgba), np.array([*background, 1], np.float32))[..., :3])
