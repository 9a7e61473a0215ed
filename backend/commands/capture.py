"""turboportrait capture: a face before a camera as a performance, line by line while it runs."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import Annotated, BinaryIO

import msgspec
import typer

from backend.commands.performance import FaceOption, SmoothingOption, errors_as_json
from backend.protocol import limits
from backend.protocol.errors import TurboPortraitError
from backend.protocol.performance import Header, encode_frame, encode_header


def capture(
    source: Annotated[
        str, typer.Argument(help="A camera of --list, or a video that plays as if it were one; else the first camera.")
    ] = "",
    output: Annotated[
        Path | None, typer.Option(help="The performance (.jsonl); by default standard output.", dir_okay=False)
    ] = None,
    seconds: Annotated[float, typer.Option(min=0, help="How long; 0 until it is interrupted (Ctrl-C).")] = 0.0,
    face: FaceOption = 0,
    smoothing: SmoothingOption = 1.0,
    list_cameras: Annotated[bool, typer.Option("--list", help="Say which cameras there are.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Say what is wrong as a line of JSON.")] = False,
) -> None:
    """Follow a face before a camera: a performance whose lines are written as it goes on.

    Its first frame is the first that shows a face, and the neutral one.
    """
    from backend.tracking.clips import cameras

    if list_cameras:
        for camera in cameras.list_cameras():
            typer.echo(f"{camera.address}\t{camera.description}")
        return
    # Its host ends it so.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with errors_as_json() if as_json else contextlib.nullcontext():
            if output is None:
                _capture(source, sys.stdout.buffer, seconds, face, smoothing)
            else:
                with output.open("wb") as file:
                    _capture(source, file, seconds, face, smoothing)
    except KeyboardInterrupt:
        return
    except BrokenPipeError:
        # Whoever read it has gone.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _capture(source: str, output: BinaryIO, most: float, face: int, smoothing: float) -> None:
    """Write a performance; what is written is whole after each line."""
    from backend.tracking.clips.cameras import CameraFrames, NewestPictures
    from backend.tracking.clips.frames import VideoFrames
    from backend.tracking.clips.live import LiveTracker
    from flame import load_head_model

    tracker = LiveTracker(load_head_model(None), face, smoothing)
    frames = VideoFrames(source) if Path(source).is_file() else CameraFrames(source)
    started = 0.0
    with NewestPictures(frames) as pictures:
        for at, picture in pictures:
            frame = tracker.track(picture, at)
            if frame is None:
                continue
            if not started:
                started = at
                header = Header(
                    (frames.rate.numerator, frames.rate.denominator),
                    frames.name[-limits.MAX_KEY_LENGTH :],
                    neutral=0,
                    started=started,
                )
                output.write(encode_header(header) + b"\n")
            output.write(encode_frame(msgspec.structs.replace(frame, time=at - started)) + b"\n")
            output.flush()
            if at - started >= min(most or limits.MAX_PERFORMANCE_SECONDS, limits.MAX_PERFORMANCE_SECONDS):
                return
    if not started:
        raise TurboPortraitError("no_face_in_video", frames.name)
