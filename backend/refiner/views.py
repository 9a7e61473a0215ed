"""The avatar's views as arrays side by side, and what is kept of them whatever a refiner says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from backend.avatars.base import RenderedView

GREY = 128
"""Of a warped portrait that is not known."""
LEAST_HEAD = 0.25
"""Where less of a pixel is the head's (`RenderedView.head`), less of it is changed."""


class ViewArrays(NamedTuple):
    """B samples of V views.

    Attributes:
        rgba: (B, V, S, S, 4) uint8, straight alpha.
        confidence, turned: (B, V, S, S) float32; the turn in radians.
        place: (B, V, S, S, 3) float32, metres, see `RenderedView.place`.
        warped: (B, V, S, S, 3) uint8, see `RenderedView.warped`.
    """

    rgba: np.ndarray
    confidence: np.ndarray
    turned: np.ndarray
    place: np.ndarray
    warped: np.ndarray


def stack_samples(samples: Sequence[Sequence[RenderedView]]) -> ViewArrays:
    """Views of several samples. Shoulders and clothes count as not turned: nobody's head teaches a refiner of them."""

    def stacked(part) -> np.ndarray:
        return np.stack([np.stack([part(view) for view in sample]) for sample in samples])

    return ViewArrays(
        stacked(lambda v: v.rgba),
        stacked(lambda v: v.confidence.astype(np.float32, copy=False)),
        stacked(_turns),
        stacked(lambda v: known_places(v.rgba, v.place).astype(np.float32, copy=False)),
        stacked(lambda v: known_portrait(v.rgba, v.warped)),
    )


def portrait_arrays(image: np.ndarray, place: np.ndarray | None) -> ViewArrays:
    """A portrait (S, S, 4) uint8 with its places: trusted where it shows somebody, its own warp."""
    rgba = image[None, None]
    confidence = rgba[..., 3].astype(np.float32) / 255
    place = known_places(image, place).astype(np.float32, copy=False)[None, None]
    return ViewArrays(rgba, confidence, np.zeros_like(confidence), place, np.ascontiguousarray(rgba[..., :3]))


def known_places(rgba: np.ndarray, place: np.ndarray | None) -> np.ndarray:
    """Places (H, W, 3), zero where none are known."""
    return np.zeros((*rgba.shape[:2], 3), np.float32) if place is None else place


def known_portrait(rgba: np.ndarray, warped: np.ndarray | None) -> np.ndarray:
    """The warped portrait (H, W, 3) uint8, grey where none is known."""
    return np.full((*rgba.shape[:2], 3), GREY, np.uint8) if warped is None else warped


def _turns(view: RenderedView) -> np.ndarray:
    head = np.ones(view.rgba.shape[:2], np.float32) if view.head is None else view.head
    return (np.float32(view.turned) * head).astype(np.float32, copy=False)


def with_own_clothes(view: RenderedView, refined: np.ndarray) -> np.ndarray:
    """Refined colours (H, W, 3) uint8, and the raw view's where it shows shoulders or clothes."""
    if view.head is None:
        return refined
    raw = view.rgba[..., :3].astype(np.float32)
    share = np.clip(view.head / LEAST_HEAD, 0, 1)[..., None]
    return np.rint(raw + share * (refined - raw)).astype(np.uint8)


def check_square(rgba: np.ndarray, size: int, what: str) -> None:
    """Raise ValueError unless an image is (size, size, 4) uint8."""
    if rgba.shape != (size, size, 4) or rgba.dtype != np.uint8:
        raise ValueError(
            f"{what} must be ({size}, {size}, 4) uint8, not {rgba.shape} {rgba.dtype}: render it at {size}"
        )
