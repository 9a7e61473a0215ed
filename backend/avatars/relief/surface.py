"""The head mesh's part of the avatar: what of it is drawn, where, and what shows on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from backend.avatars.relief.borrow import Lender
from backend.avatars.relief.paint import MOUTH_COLORS, Seen, members, paint_mesh
from backend.avatars.relief.regions import CHIN, PortraitRegions, PosedModel
from backend.tracking import TrackedPortrait
from flame import HeadModel

SEEN_FACING = 0.02
"""|cos| to the photo's ray below which a vertex counts as not seen."""
BESIDE_FACE = 10.0
"""Pixels from the face oval over which the photo's claim to other views weakens."""
UNDER_HAIR = 0.05
"""Share of the way to the head's centre that the scalp is drawn in under the hair."""
COLLAR = 8
"""Pixels from the collar's edge within which the neck is left as it is."""
UNDER_SHELL = 0.003
"""Metres that the scalp keeps from the shell over it."""
UNDER_CLOTHING = 0.12
"""Share of the way to the neck's axis that the neck is drawn in under a collar."""


@dataclass(frozen=True)
class Surface:
    """The head mesh as drawn.

    Attributes:
        points: (V, 3) camera space, metres: the fitted mesh, drawn inside the matte and under the hair.
        faces: (F', 3) the faces that are drawn.
        photo_weight, facing: (V,) float.
        fill_pixels: (V, 2); fill_weight: (V,); color: (V, 3) float, sRGB in 0..255.
    """

    points: np.ndarray
    faces: np.ndarray
    photo_weight: np.ndarray
    facing: np.ndarray
    fill_pixels: np.ndarray
    fill_weight: np.ndarray
    color: np.ndarray


def build_surface(
    tracked: TrackedPortrait,
    model: HeadModel,
    posed: PosedModel,
    regions: PortraitRegions,
    lender: Lender,
    inside_shell: tuple[np.ndarray, np.ndarray],
    hair_color: np.ndarray,
) -> Surface:
    """Decide what the head mesh shows.

    Args:
        inside_shell: (S, S) depths between which the shell has its inside (see `shell.depth_inside`).
        hair_color: (S, S, 3), see `textures.hair_colors`.
    """
    size = tracked.camera.width
    pixels = posed.screen[:, :2].astype(float)
    column, row = np.clip(pixels.astype(int), 0, size - 1).T
    owned = ndimage.binary_dilation(regions.owned, iterations=1)[row, column]
    facing = -(posed.normals * posed.points).sum(1) / np.linalg.norm(posed.points, axis=1)
    inside = ((pixels > 1) & (pixels < size - 1)).all(1)
    unhidden = posed.screen[:, 2] < posed.whole.depth[row, column] + 0.004
    seen = unhidden & (facing > SEEN_FACING) & regions.person[row, column] & inside

    hairy = _hairy(model, posed, regions, row, column, seen, owned)
    # Not right at the collar, where a neck drawn in would let the cloth's hidden edge show.
    under_cloth = ndimage.binary_erosion(regions.clothing, iterations=COLLAR)[row, column] & posed.head_vertices
    points = _inside_matte(posed, regions, tracked, hairy, under_cloth)
    points[hairy] = _within(points[hairy], row[hairy], column[hairy], *inside_shell)
    faces = model.faces[(posed.head_vertices | posed.eyes)[model.faces].all(1)]

    fill_pixels, fill_weight = pixels.copy(), np.zeros(len(pixels), np.float32)
    fill_pixels[hairy], fill_weight[hairy] = lender.borrow(points[hairy], pixels[hairy])

    color = paint_mesh(tracked, model, posed, regions, faces, Seen(seen, facing, hairy), hair_color)
    # From the portrait's own view whatever shows is the photo, on hair and skin alike. Teeth are not the mesh's.
    weight = (seen & ~members(model, *MOUTH_COLORS)).astype(np.float32)
    # Beside the face, a photo's ear lies where the mesh may have its cheek: from other views it is not to be seen.
    beside = np.clip(ndimage.distance_transform_edt(~regions.face)[row, column] / BESIDE_FACE, 0, 1)
    above_chin = row < tracked.landmarks[CHIN, 1]
    facing = np.abs(facing) * (1 - 0.45 * beside * above_chin)
    facing = np.where(posed.eyes, 9.0, facing)
    return Surface(points, faces, weight, facing, fill_pixels, fill_weight, color)


def _hairy(model, posed, regions, row, column, seen, owned) -> np.ndarray:
    """Vertices that hair covers: seen under it, or on the unseen scalp of somebody who has hair."""
    if regions.hair.mean() < 0.01:
        return np.zeros(len(row), bool)
    bare_ears = np.zeros(len(row), bool)
    for shows, ear in zip(regions.ears, ("ear_left", "ear_right"), strict=True):
        bare_ears |= members(model, ear) & shows
    under = regions.hair[row, column] & ~owned & posed.head_vertices & ~bare_ears
    lowest = np.flatnonzero(regions.hair.any(1)).max()
    unseen = ~seen & _scalp(model) & (~owned | (posed.normals[:, 2] > 0.2)) & (row < lowest)
    return (under | unseen) & ~posed.eyes


def _scalp(model: HeadModel) -> np.ndarray:
    """(V,) bool: where hair grows, from the model's own region, else by its place relative to the eyes."""
    if "scalp" in model.regions:
        return members(model, "scalp")
    left, right = (model.v_template[model.regions[eye]].mean(0) for eye in ("eye_left", "eye_right"))
    eyes, apart = (left + right) / 2, np.linalg.norm(left - right)
    _, up, forward = ((model.v_template - eyes) / apart).T
    ears = members(model, "ear_left") | members(model, "ear_right")
    return ((up > 1.1) | ((forward < -1.2) & (up > -1.1))) & ~ears


def _inside_matte(
    posed: PosedModel, regions: PortraitRegions, tracked: TrackedPortrait, hairy: np.ndarray, clothed: np.ndarray
) -> np.ndarray:
    """The mesh with what stands out of the silhouette moved in, at its depth, and drawn in under hair and collar."""
    points, person = posed.points.copy(), regions.person
    axis = points[clothed].mean(0) if clothed.any() else np.zeros(3)
    points[clothed] += UNDER_CLOTHING * (axis - points[clothed]) * [1, 0, 1]
    centre = points[posed.head_vertices].mean(0)
    points[hairy] += UNDER_HAIR * (centre - points[hairy])
    camera, size = tracked.camera, person.shape[0]
    pixels = points @ camera.intrinsics.T
    pixels = pixels[:, :2] / pixels[:, 2:]
    column, row = np.clip(pixels.astype(int), 0, size - 1).T
    safe = ndimage.binary_erosion(person, iterations=2, border_value=1)
    rows, columns = ndimage.distance_transform_edt(~safe, return_distances=False, return_indices=True)
    in_frame = ((pixels >= 0) & (pixels < size)).all(1)
    out = ~safe[row, column] & in_frame & posed.head_vertices
    target = np.stack([columns[row[out], column[out]], rows[row[out], column[out]]], 1) + 0.5
    shift = (target - pixels[out]) * points[out, 2:] / np.diag(camera.intrinsics)[:2]
    points[out, :2] += shift
    return points


def _within(points: np.ndarray, row: np.ndarray, column: np.ndarray, near: np.ndarray, far: np.ndarray) -> np.ndarray:
    """Points (n, 3) moved along their rays to lie inside the shell, where it has both sides."""
    z, low, high = points[:, 2], near[row, column] + UNDER_SHELL, far[row, column] - UNDER_SHELL
    both = np.isfinite(low) & np.isfinite(high)
    clipped = np.where(low < high, np.clip(z, low, np.maximum(low, high)), (low + high) / 2)
    return points * np.where(both, clipped / z, 1)[:, None]
