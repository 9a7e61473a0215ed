"""An avatar as an ordinary rigged mesh, so that a host can pose and draw it with no round trip."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class RiggedMesh:
    """A textured mesh with FLAME's joints, linear blend skinning and an expression basis, in head space.

    It is posed as FLAME is: rest vertices plus expression offsets, then skinning about the joints.

    Attributes:
        vertices: (N, 3) float32, metres, the rest pose with the neutral face.
        faces: (F, 3) int32, counter-clockwise seen from outside.
        expression_vertices: (M,) int32, the vertices that any expression moves.
        expression_offsets: (E, M, 3) float32, metres at coefficient 1.
        expression_names: E names.
        joints: (5, 3) float32, rest positions in the order of `JOINTS`.
        parents: (5,) int32, -1 for the root.
        skin_weights: (N, 5) float32, rows sum to 1.
        uv: (N, 2) float32, texture coordinates in [0, 1], v up from the bottom edge.
        texture: (H, W, 4) uint8 sRGB, straight alpha: the photo, filled where it saw nothing.
        photo_weight: (N,) float32 in [0, 1]: how much of the texture at `uv` shows; the rest is the fill.
        photo_facing: (N,) float32: |cos| between the surface and the photo's ray; a view that sees the surface more
            squarely than the photo did fades to the fill (see FADE_START).
        fill_uv: (N, 2) float32: where the texture is borrowed from when `uv` is not to be trusted (hair continues
            as its own mirror image).
        fill_weight: (N,) float32 in [0, 1]: the fill is the texture at `fill_uv` by this weight, else `base_color`.
        base_color: (N, 3) uint8 sRGB: a smooth colour.
    """

    vertices: np.ndarray
    faces: np.ndarray
    expression_vertices: np.ndarray
    expression_offsets: np.ndarray
    expression_names: tuple[str, ...]
    joints: np.ndarray
    parents: np.ndarray
    skin_weights: np.ndarray
    uv: np.ndarray
    texture: np.ndarray
    photo_weight: np.ndarray
    photo_facing: np.ndarray
    fill_uv: np.ndarray
    fill_weight: np.ndarray
    base_color: np.ndarray

    FADE_START = 0.25
    FADE_LENGTH = 0.25
    """photo = photo_weight * clip((photo_facing / view_facing - FADE_START) / FADE_LENGTH, 0, 1);
    color = photo * texture(uv) + (1 - photo) * (fill_weight * texture(fill_uv) + (1 - fill_weight) * base_color)"""
