"""What every avatar is: made once from a portrait, then rendered by any camera in any pose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from backend.protocol.camera import Camera
from backend.protocol.head_parameters import HeadParameters
from backend.protocol.rigged_mesh import RiggedMesh
from backend.tracking import TrackedPortrait


@dataclass(frozen=True)
class RenderedView:
    """One raw view.

    Attributes:
        rgba: (H, W, 4) uint8 sRGB, straight alpha.
        depth: (H, W) float32, metres along the camera's z axis, inf where there is no surface.
        confidence: (H, W) float32 in [0, 1]: how well the portrait saw what this pixel shows.
        turned: radians between the portrait's line of sight to the head and this view's, in the head's own frame.
        head: (H, W) float32 in [0, 1], how much of a pixel is the head's and moves with it, neither shoulders nor
            clothes; None: all.
        place: (H, W, 3) float32, metres from the middle between the eyes in the head's resting pose: which place on the
            head each pixel shows, whatever the view and the pose. Zeros where it shows none; None: not known.
        warped: (H, W, 3) uint8 sRGB: what the portrait itself shows where each pixel's surface lies in it, however
            steeply it saw that; the view's own colour where the avatar knows that something else hid it. Known where
            `place` is.
    """

    rgba: np.ndarray
    depth: np.ndarray
    confidence: np.ndarray
    turned: float = 0.0
    head: np.ndarray | None = None
    place: np.ndarray | None = None
    warped: np.ndarray | None = None

    @classmethod
    def empty(cls, width: int, height: int) -> RenderedView:
        """A view that shows nothing: fully transparent."""
        size = (height, width)
        return cls(np.zeros((*size, 4), np.uint8), np.full(size, np.inf, np.float32), np.zeros(size, np.float32))


class Avatar(Protocol):
    """A registered person.

    Attributes:
        id: hex digest of the portrait's bytes, the maker, the head model and the texture: what looks the same has the
            same id.
        tracked: what tracking found in the portrait (camera, parameters, reference image).
        per_pixel: a part of a picture, rendered by itself, is that part of the whole, and takes its share of the time;
            an avatar that does not say so is rendered whole.
        textured: its views show its mesh with its texture; an avatar that does not say so has other views.
    """

    id: str
    tracked: TrackedPortrait
    per_pixel: bool
    textured: bool

    def render(self, cameras: Sequence[Camera], parameters: HeadParameters) -> list[RenderedView]:
        """Raw views of one pose, one per camera, of any size. A camera that sees nothing gives an empty view."""

    def portrait_place(self, size: int) -> np.ndarray | None:
        """`RenderedView.place` of the portrait itself at size x size pixels, or None where it is not known."""

    def mesh(self) -> RiggedMesh | None:
        """The avatar as a mesh that a host can draw by itself, or None where it is no mesh."""

    def with_texture(self, texture: np.ndarray) -> Avatar:
        """The same avatar with another texture (H, W, 4) uint8 sRGB on its mesh, of any size; itself where its views do
        not come of the mesh."""

    def bounds(self, camera: Camera, parameters: HeadParameters) -> tuple[float, float, float] | None:
        """The square (x0, y0, side), in pixels, that frames the head as the portrait was framed; None if unseen."""
