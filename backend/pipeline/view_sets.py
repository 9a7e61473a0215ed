"""A view set: one head in one pose as one or several cameras see it, rendered raw and about to be refined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from backend.avatars.base import RenderedView
from backend.geometry.crops import composite, overlaps
from backend.pipeline.catalog import Refiner
from backend.pipeline.parts import PART_PIXELS, Parts, complete
from backend.pipeline.store import Registration
from backend.protocol.camera import Camera
from backend.protocol.head_parameters import HeadParameters

Square = tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class ViewSet:
    """What is refined together.

    Attributes:
        raw: a view per camera, as the avatar renders it.
    """

    registration: Registration
    cameras: tuple[Camera, ...]
    parameters: HeadParameters
    raw: tuple[RenderedView, ...]


@dataclass(frozen=True, eq=False)
class Crops:
    """The head's square in each camera that sees it, rendered at the refiner's size.

    Attributes:
        squares: the camera's number -> x0, y0, side in its pixels.
        cameras, views: of the squares, in their order.
    """

    view_set: ViewSet
    squares: dict[int, Square]
    cameras: tuple[Camera, ...]
    views: tuple[RenderedView, ...]

    @classmethod
    def of(cls, view_set: ViewSet, size: int) -> Crops:
        """Render them."""
        avatar = view_set.registration.avatar
        squares = {}
        for number, camera in enumerate(view_set.cameras):
            square = usable_square(avatar.bounds(camera, view_set.parameters))
            if square and overlaps(square, camera.width, camera.height):
                squares[number] = square
        cameras = tuple(view_set.cameras[number].crop(*square, size) for number, square in squares.items())
        return cls(view_set, squares, cameras, tuple(avatar.render(cameras, view_set.parameters)))

    def put_back(self, refined: Sequence[np.ndarray], preset: str) -> list[np.ndarray]:
        """Add what refining by a preset changed to the raw frames, which keep their own detail: (H, W, 4) uint8 per
        camera."""
        return complete(self.putting_back(refined, preset))

    def putting_back(self, refined: Sequence[np.ndarray], preset: str) -> Parts[list[np.ndarray]]:
        """`put_back` in parts."""
        share = self.view_set.registration.share_of_change(preset)
        frames = [view.rgba for view in self.view_set.raw]
        for (number, square), view, image in zip(self.squares.items(), self.views, refined, strict=True):
            frames[number] = yield from self._composed(frames[number], square, view.rgba, image, share)
        return frames

    @staticmethod
    def _composed(
        frame: np.ndarray, square: Square, raw_crop: np.ndarray, refined_crop: np.ndarray, share: float
    ) -> Parts[np.ndarray]:
        """`composite` by bands, which is the same and takes less memory."""
        x0, y0, side = square
        result = np.empty_like(frame)
        rows = max(1, PART_PIXELS // frame.shape[1])
        for top in range(0, len(frame), rows):
            band = slice(top, top + rows)
            result[band] = composite(frame[band], (x0, y0 - top, side), raw_crop, refined_crop, share)
            yield
        return result


def reference_state(registration: Registration, refiner: Refiner, preset: str):
    """What the refiner needs of the portrait, computed at the first time."""
    if preset not in registration.reference_states:
        reference = cv2.resize(registration.reference, (refiner.size, refiner.size), interpolation=cv2.INTER_AREA)
        registration.reference_states[preset] = refiner.encode_reference(
            reference, registration.avatar.portrait_place(refiner.size)
        )
    return registration.reference_states[preset]


def usable_square(bounds: Square | None) -> Square | None:
    """The head's square, None where it is not seen or beyond all measure (the camera touches the head)."""
    return bounds if bounds and np.isfinite(bounds).all() and bounds[2] > 0 else None
