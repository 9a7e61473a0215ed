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
        uv: (T, 2) float32, texture coordinates in [0, 1], v up from the bottom edge.
        uv_faces: (F, 3) int32, the texture coordinate of each corner of `faces`: a seam needs no second vertex.
        texture: (H, W, 4) uint8 sRGB, straight alpha, the light of the photo in it; colours go on under low alpha.
        confidence: (H, W) uint8, how well the portrait saw each texel: 0 for made up, 255 for seen squarely.
        actions: (52, E + 3) float32, for each of ARKit's actions the coefficients of the expressions and the jaw's
            axis-angle that come nearest to it, where `expression_names` has none of them; otherwise None.
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
    uv_faces: np.ndarray
    texture: np.ndarray
    confidence: np.ndarray
    actions: np.ndarray | None = None
