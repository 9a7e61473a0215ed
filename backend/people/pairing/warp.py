"""A picture with depth, drawn again as a surface whose points have moved and that another camera films."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from scipy import ndimage

from backend.geometry.rasterizer import interpolate, rasterize
from backend.protocol.camera import Camera

SAMPLES = 2
"""Per pixel in each direction."""
JUMP = 0.02
"""Metres of depth between neighbouring pixels from which on nothing was seen between them."""
RIM = 2
"""Pixels that the surface reaches beyond the last depth, where edges of hair thin out."""


@dataclass(frozen=True)
class Warped:
    """A picture as another camera has it.

    Attributes:
        rgba: (S, S, 4) uint8, straight alpha.
        trusted: (S, S) float32 in [0, 1]: the share of a pixel that a mask said yes of and that was really seen.
    """

    rgba: np.ndarray
    trusted: np.ndarray

    @classmethod
    def reduced(cls, picture: np.ndarray, trusted: np.ndarray, size: int) -> Warped:
        """From a larger picture (H, H, 4) float32, premultiplied, and mask (H, H) bool."""
        small: np.ndarray = cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA)
        alpha = small[..., 3:]
        small[..., :3] /= np.maximum(alpha, 1e-3)
        small[..., :3][alpha[..., 0] < 1e-3] = 0
        share = cv2.resize(trusted.astype(np.float32), (size, size), interpolation=cv2.INTER_AREA)
        return cls(np.rint(255 * np.clip(small, 0, 1)).astype(np.uint8), share)


def warp(
    rgba: np.ndarray,
    depth: np.ndarray,
    mask: np.ndarray,
    source: Camera,
    move: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
    target: Camera,
) -> Warped:
    """Draw a picture's surface where its points have moved to.

    Args:
        rgba: (S, S, 4) uint8, straight alpha. depth: (S, S) metres along the camera's axis, 0 where nothing is.
        mask: (S, S) bool, what may be trusted.
        source: the picture's camera.
        move: takes points (n, 3) of the source camera's space to the target's, and says which of them may be
            trusted, (n,) bool.
        target: the camera to draw for, square.
    """
    known = depth > 0
    # Single strands before what lies behind them: no surface can follow that.
    smooth = ndimage.median_filter(np.where(known, depth, np.inf), 3)
    nodes = ndimage.distance_transform_edt(~known) <= RIM
    usable = known & np.isfinite(smooth)
    rows, columns = ndimage.distance_transform_edt(~usable, return_distances=False, return_indices=True)
    smooth = smooth[rows, columns]
    y, x = np.nonzero(nodes)
    pixels = np.stack([x + 0.5, y + 0.5], 1)
    moved, kept = move(source.unproject(pixels, smooth[nodes]))
    screen = np.column_stack([target.project(moved) * SAMPLES, target.to_camera(moved)[:, 2]])
    faces, torn = _faces(nodes, smooth)
    torn |= ~kept[faces].all(1)
    side = target.width * SAMPLES
    raster = rasterize(screen, faces, side, side)
    place = interpolate(raster, faces, pixels) - np.float32(0.5)
    picture = _remap(rgba, place, raster.covered)
    trusted = _nearest(mask, place) & raster.covered & ~torn[raster.triangle]
    return Warped.reduced(picture, trusted, target.width)


def _faces(nodes: np.ndarray, depth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two triangles (F, 3) for each four neighbouring nodes, numbered row by row, and which span a jump (F,)."""
    number = np.cumsum(nodes).reshape(nodes.shape) - 1
    a, b, c, d = (np.s_[:-1, :-1], np.s_[:-1, 1:], np.s_[1:, :-1], np.s_[1:, 1:])
    whole = nodes[a] & nodes[b] & nodes[c] & nodes[d]
    faces, torn = [], []
    for corners in ((a, b, c), (b, d, c)):
        faces.append(np.stack([number[k][whole] for k in corners], 1))
        deep = np.stack([depth[k][whole] for k in corners])
        torn.append(np.ptp(deep, axis=0) > JUMP)
    return np.concatenate(faces), np.concatenate(torn)


def _remap(rgba: np.ndarray, place: np.ndarray, covered: np.ndarray) -> np.ndarray:
    """(H, W, 4) float32 premultiplied colours at pixel places (H, W, 2)."""
    source = premultiplied_srgb(rgba)
    sampled = cv2.remap(source, place[..., 0], place[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    sampled = np.clip(sampled, 0, 1) * covered[..., None]
    sampled[..., :3] = np.minimum(sampled[..., :3], sampled[..., 3:])
    return sampled


def premultiplied_srgb(rgba: np.ndarray) -> np.ndarray:
    """(H, W, 4) float32 in [0, 1], not linear, of straight uint8."""
    picture = rgba.astype(np.float32) / 255
    picture[..., :3] *= picture[..., 3:]
    return picture


def _nearest(mask: np.ndarray, place: np.ndarray) -> np.ndarray:
    found = cv2.remap(mask.astype(np.uint8), place[..., 0], place[..., 1], cv2.INTER_NEAREST)
    return found > 0
