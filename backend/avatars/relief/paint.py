"""The head mesh's own colours, for where the photo did not see it well enough."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from scipy import ndimage
from scipy.sparse.linalg import splu
from scipy.spatial import cKDTree

from backend.avatars.relief.regions import PortraitRegions, PosedModel
from backend.avatars.relief.textures import sample, smooth_inside
from backend.tracking import TrackedPortrait
from flame import HeadModel

COLOR_FACING = 0.3
"""|cos| to the photo's ray above which the photo's colour at a vertex is taken as the surface's."""
COLOR_MARGIN = 4
"""Pixels from the edge of the skin within which its colour is not taken."""
CAVITY_SHADE = 1.0
"""How much darker a hollow is than a plane, per unit of slope towards its neighbours."""
UNDERSIDE_SHADE = 0.3
"""How much darker a surface that faces down is than one that faces the light."""
MOUTH_COLORS = {"mouth_interior": (58, 22, 22), "tongue": (150, 82, 80)}


@dataclass(frozen=True)
class Seen:
    """What the photo saw of each vertex.

    Attributes:
        seen: (V,) bool. facing: (V,) cos to the photo's ray. hairy: (V,) bool, covered by hair.
    """

    seen: np.ndarray
    facing: np.ndarray
    hairy: np.ndarray


def members(model: HeadModel, *names: str) -> np.ndarray:
    """(V,) bool: the vertices of the model's regions of these names, where it has them."""
    member = np.zeros(len(model.v_template), bool)
    for name in names:
        member[model.regions.get(name, np.zeros(0, int))] = True
    return member


def paint_mesh(
    tracked: TrackedPortrait,
    model: HeadModel,
    posed: PosedModel,
    regions: PortraitRegions,
    faces: np.ndarray,
    seen: Seen,
    hair_color: np.ndarray,
) -> np.ndarray:
    """Colours (V, 3), sRGB in 0..255: the photo's, smoothed, where it is sure; else continued over the mesh.

    Args:
        hair_color: (S, S, 3), see `textures.hair_colors`.
    """
    pixels = posed.screen[:, :2].astype(float)
    column, row = np.clip(pixels.astype(int), 0, tracked.camera.width - 1).T
    skin_color = sample(smooth_inside(tracked.image, regions.skin, 4.0), pixels)
    color = np.where(seen.hairy[:, None], sample(hair_color, pixels), skin_color)
    well_inside = ndimage.binary_erosion(regions.skin, iterations=COLOR_MARGIN)[row, column]
    known = (seen.seen & well_inside & (seen.facing > COLOR_FACING)) | seen.hairy
    color, known = _mirrored(model, color, known, seen.hairy)
    mouth = members(model, *MOUTH_COLORS)
    for name, mouth_color in MOUTH_COLORS.items():
        color[members(model, name)] = mouth_color
    color = _diffuse(color, known | mouth, faces)
    for eye in ("eye_left", "eye_right"):
        _paint_unseen_eye(color, model.regions[eye], seen.seen, sample(tracked.image, pixels))
    unlit = ~(known | seen.hairy | mouth | posed.eyes)
    color[unlit] *= _ambient(posed, model.faces)[unlit, None]
    return color


def _mirrored(model: HeadModel, color: np.ndarray, known: np.ndarray, hairy: np.ndarray):
    """Skin that only the other side of the head shows takes its colour from there."""
    distance, twin = cKDTree(model.v_template).query(model.v_template * [-1, 1, 1])
    lent = ~known & known[twin] & ~hairy[twin] & (distance < 0.002)
    color = color.copy()
    color[lent] = color[twin[lent]]
    return color, known | lent


def _diffuse(color: np.ndarray, known: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Harmonic interpolation of vertex colours over the mesh from the known vertices."""
    count = len(color)
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    edges = np.concatenate([edges, edges[:, ::-1]])
    adjacency = sp.csr_matrix((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), (count, count))
    adjacency.data[:] = 1
    used = np.zeros(count, bool)
    used[np.unique(faces)] = True
    unknown = np.flatnonzero(~known & used)
    anchors = np.flatnonzero(known & used)
    if not len(unknown) or not len(anchors):
        return color
    # A faint pull to the mean keeps pieces that touch no known vertex from being singular.
    laplace = sp.diags(np.asarray(adjacency.sum(1)).ravel() + 1e-6).tocsr() - adjacency
    right = -laplace[unknown][:, anchors] @ color[anchors] + 1e-6 * color[anchors].mean(0)
    out = color.copy()
    out[unknown] = splu(laplace[unknown][:, unknown].tocsc()).solve(np.ascontiguousarray(right))
    return out


def _ambient(posed: PosedModel, faces: np.ndarray) -> np.ndarray:
    """(V,) shade of hollows and undersides, which gives an ear its folds and a chin its shadow where no photo does."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    edges = np.concatenate([edges, edges[:, ::-1]])
    count = np.bincount(edges[:, 0], minlength=len(posed.points)).clip(1)
    step = posed.points[edges[:, 1]] - posed.points[edges[:, 0]]
    rise = np.bincount(edges[:, 0], (step * posed.normals[edges[:, 0]]).sum(1), len(count)) / count
    length = np.bincount(edges[:, 0], np.linalg.norm(step, axis=1), len(count)) / count
    hollow = np.clip(1 - CAVITY_SHADE * rise / np.maximum(length, 1e-6), 0.6, 1.08)
    return hollow * (1 - UNDERSIDE_SHADE * np.clip(posed.normals[:, 1], 0, 1))


def _paint_unseen_eye(color: np.ndarray, eye: np.ndarray, seen: np.ndarray, photo: np.ndarray) -> None:
    """The hidden part of an eyeball takes the colour of the white that shows."""
    visible = photo[eye[seen[eye]]]
    if len(visible):
        brightest = visible[np.argsort(-visible.sum(1))[: max(3, len(visible) // 3)]]
        color[eye[~seen[eye]]] = brightest.mean(0)
    else:
        color[eye] = (200, 190, 185)
