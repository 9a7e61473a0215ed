"""Large pictures in parts: each takes little time and memory, and other work may go between them."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from backend.avatars.base import Avatar, RenderedView
from backend.protocol.camera import Camera
from backend.protocol.head_parameters import HeadParameters

PART_PIXELS = 1 << 22
"""Of one part: 2048 x 2048."""

_PICTURES = ("rgba", "depth", "confidence", "head", "place", "warped")
"""Fields of a rendered view that have a value for each pixel."""

Result = TypeVar("Result")
Parts = Generator[None, None, Result]
"""Work that can be left between its parts."""


def complete(parts: Parts[Result]) -> Result:
    """Do all of it at once."""
    while True:
        try:
            next(parts)
        except StopIteration as end:
            return end.value


def rendering(avatar: Avatar, cameras: Sequence[Camera], parameters: HeadParameters) -> Parts[list[RenderedView]]:
    """`Avatar.render` in parts: small views together, large ones by bands where the avatar allows it."""
    views: list[RenderedView] = []
    while len(views) < len(cameras):
        together = _fitting(cameras[len(views) :])
        first = bands(together[0]) if getattr(avatar, "per_pixel", False) else []
        if len(first) > 1:
            views.append((yield from _by_bands(avatar, first, together[0].height, parameters)))
        else:
            views += avatar.render(together, parameters)
            yield
    return views


def bands(camera: Camera) -> list[Camera]:
    """Cameras of at most `PART_PIXELS` that see a camera's picture from top to bottom."""
    rows = max(1, PART_PIXELS // camera.width)
    below = np.zeros((3, 3))
    below[1, 2] = 1
    return [
        Camera.from_arrays(
            camera.intrinsics - top * below, camera.extrinsics, camera.width, min(rows, camera.height - top)
        )
        for top in range(0, camera.height, rows)
    ]


def _fitting(cameras: Sequence[Camera]) -> Sequence[Camera]:
    """The first of them, and as many more as fit into one part with it."""
    pixels = np.cumsum([camera.width * camera.height for camera in cameras])
    return cameras[: max(1, int(np.searchsorted(pixels, PART_PIXELS, "right")))]


def _by_bands(
    avatar: Avatar, cameras: Sequence[Camera], height: int, parameters: HeadParameters
) -> Parts[RenderedView]:
    """One view; each band is put into the whole at once, so that no two copies of it are held."""
    whole: dict[str, Any] = {}
    top = 0
    for camera in cameras:
        (band,) = avatar.render([camera], parameters)
        for name in _PICTURES:
            picture = getattr(band, name)
            if picture is not None:
                whole.setdefault(name, np.empty((height, *picture.shape[1:]), picture.dtype))
                whole[name][top : top + camera.height] = picture
        top += camera.height
        yield
    return replace(band, **whole)
