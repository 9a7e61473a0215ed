"""The demo's pictures: a contact sheet and a movie."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from backend.demo.measure import SheetView
from backend.photos.movie_files import h264_movie
from backend.photos.saving import save_picture
from backend.protocol.pictures import bytes_over_grey

LABEL_HEIGHT = 28
INK, PAPER = (30, 30, 30), (255, 255, 255)


def contact_sheet(portrait: np.ndarray, views: Sequence[SheetView], path: Path) -> None:
    """The portrait, then a row of raw and a row of refined views.

    Args:
        portrait: (S, S, 3) uint8.
        path: of a PNG or JPEG file.

    Raises:
        TurboPortraitError: as `save_picture`.
    """
    size = views[0].raw.shape[0]
    columns = len(views) + 1
    sheet = Image.new("RGB", (columns * size, 2 * (size + LABEL_HEIGHT)), PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(LABEL_HEIGHT * 0.6)

    def put(column: int, row: int, title: str, picture: np.ndarray) -> None:
        x, y = column * size, row * (size + LABEL_HEIGHT)
        draw.text((x + 8, y + 4), title, INK, font)
        sheet.paste(Image.fromarray(picture).resize((size, size), Image.Resampling.LANCZOS), (x, y + LABEL_HEIGHT))

    put(0, 0, "portrait", portrait)
    for column, view in enumerate(views, 1):
        put(column, 0, f"raw, {view.title}", bytes_over_grey(view.raw))
        put(column, 1, f"refined, {view.title}", bytes_over_grey(view.refined))
    save_picture(path, np.asarray(sheet))


def movie(frames: Sequence[Path], path: Path, frames_per_second: int = 24) -> None:
    """An H.264 movie (MP4) of pictures of one size with even sides; raises as `h264_movie`."""
    import av

    with h264_movie(path, Fraction(frames_per_second), *_opened(frames[0]).size) as (container, stream):
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_image(_opened(frame).convert("RGB"))))


def _opened(frame: Path) -> Image.Image:
    return Image.open(frame, formats=["PNG"])
