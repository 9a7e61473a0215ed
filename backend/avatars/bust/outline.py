"""The fitted head drawn to the person's outline: the skull by direction, ears, cheeks and neck in the image plane.

Landmarks fix the face from the front; nothing but the outline tells how high and wide a skull is, how far out an ear,
how thick a neck.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from backend.avatars.bust.chart import RadialChart, round_pole
from backend.avatars.bust.portrait import SKIN, Portrait
from backend.geometry.rasterizer import Raster
from backend.geometry.sampling import sample

UNDER_HAIR = 0.004
"""Metres that hair has at least at the outline."""
TALLER = 1.5
"""How much thicker than at its sides hair may be on top before the skull is taken for a higher one."""
SCALE = (0.8, 1.15)
SIDE_REACH = 0.3
"""Metres from the skull's middle up to which an outline is looked for."""
MIDDLE, STICKS_OUT = 0.5, 0.02
"""Share of the skull's width within which its height is compared, and of its vertices that may lie beyond the outline's
top there."""
REACH, REACH_AT_HAIR = 0.035, 0.016
"""Shares of the crop's side up to which the mesh's outline and the person's, or that of hair beside it, are taken for
the same."""
SURE = 0.8
"""How much skin a pixel shows that is a face's before hair: what lies in shadow between the two is hair."""
SPREAD = 0.02
"""Share of the crop's side over which a correction fades out."""
FRONTAL = 0.75
"""|cos| to the photo's ray above which the landmarks rule and nothing is moved."""


def fit_height(portrait: Portrait, chart: RadialChart, skull: np.ndarray, vertices: np.ndarray) -> np.ndarray:
    """A head (V, 3) whose skull above the chart's centre is as high as the outline: below it where there is hair, by as
    much as at the sides or more.

    Args:
        skull: (rows, columns) metres, its radius.
    """
    person = (portrait.cover + portrait.regions[..., SKIN] > 0.5).astype(np.uint8)
    top = np.where(person.any(0), person.argmax(0), portrait.size)
    crown = int(np.argmin(top))
    bald = portrait.regions[min(top[crown] + 4, portrait.size - 1), crown, SKIN] > 0.5
    pixels = portrait.camera.intrinsics[1, 1] / portrait.camera.to_camera(vertices)[:, 2].mean()
    least = 0 if bald else UNDER_HAIR
    usual = 0 if bald else max(TALLER * _side_thickness(portrait, chart, skull), UNDER_HAIR)
    level = chart.centre[1]
    upper = vertices[:, 1] > level + 0.3 * (vertices[:, 1].max() - level)
    # Its sides are drawn in afterwards.
    across = portrait.camera.project(vertices)[:, 0]
    low, high = np.quantile(across[upper], [0.05, 0.95])
    upper &= np.abs(across - (low + high) / 2) < MIDDLE * (high - low) / 2
    for factor in np.arange(*SCALE, 0.01)[::-1]:
        moved = vertices[upper].copy()
        moved[:, 1] = level + factor * (moved[:, 1] - level)
        column, row = portrait.camera.project(moved).T
        limit = top[np.clip(column.astype(int), 0, portrait.size - 1)]
        margin = pixels * (usual if factor > 1 else least)
        if np.mean(row < limit + margin) < STICKS_OUT:
            break
    result = vertices.copy()
    result[:, 1] += (factor - 1) * np.maximum(vertices[:, 1] - level, 0)
    return result


def _side_thickness(portrait: Portrait, chart: RadialChart, skull: np.ndarray) -> float:
    """Metres of hair at the outline of the skull's sides; none counts as nothing."""
    origins, directions = chart.rays()
    rows = slice(chart.cap_rows // 2, chart.cap_rows)
    found = []
    for sign in (-1, 1):
        column = portrait.side_column(chart.azimuth, sign)
        far = portrait.outline(portrait.cover > 0.5, origins[rows, column], directions[rows, column], SIDE_REACH)
        found.append(np.nan_to_num(far - skull[rows, column]))
    return float(np.median(np.maximum(found, 0)))


def fit_skull(chart: RadialChart, portrait: Portrait, skull: np.ndarray) -> np.ndarray:
    """Factors (rows, columns) by which the skull's radii (rows, columns) meet the outline at both sides: within it
    where there is hair, on it where it is bare."""
    rows, columns = chart.shape
    person = portrait.cover + portrait.regions[..., SKIN] > 0.5
    origins, directions = chart.rays()
    turned = portrait.turned(chart.azimuth)
    elevation = 90 * (1 - np.arange(rows) / chart.cap_rows)
    weight = np.clip((elevation - 4) / 8, 0, 1) * np.clip((80 - elevation) / 20, 0, 1)
    change = np.zeros((rows, columns))
    for sign in (-1, 1):
        column = portrait.side_column(chart.azimuth, sign)
        hull = portrait.outline(person, origins[:, column], directions[:, column], SIDE_REACH)
        edge = origins[:, column] + (np.nan_to_num(hull) - 0.004)[:, None] * directions[:, column]
        bald = sample(portrait.regions[..., SKIN], portrait.camera.project(edge)) > 0.5
        room = np.where(bald, hull, np.minimum(hull - UNDER_HAIR, skull[:, column])) / skull[:, column]
        own = np.where(np.isnan(room), 0.0, np.clip(room, *SCALE) - 1) * weight
        change += (
            np.clip(np.sin(turned * sign), 0, 1)[None] ** 2
            * ndimage.gaussian_filter1d(own, 2.5, mode="nearest")[:, None]
        )
    # The face is the landmarks'.
    face = np.clip(1.5 - np.abs(turned) / np.radians(50), 0, 1)[None]
    face = face * np.clip((np.arange(rows) - 0.5 * chart.cap_rows) / 6, 0, 1)[:, None]
    return round_pole(1 + change * (1 - face))


def scale_radially(chart: RadialChart, factors: np.ndarray, vertices: np.ndarray) -> np.ndarray:
    """Points (n, 3) moved from the chart's axis by the factors (rows, columns) of their directions."""
    column, row, _ = chart.coordinates(vertices)
    factor = ndimage.map_coordinates(factors, [row, column], order=1, mode="nearest")
    axis = np.repeat(chart.centre[None], len(vertices), 0)
    axis[:, 1] = np.minimum(vertices[:, 1], chart.centre[1])
    return axis + factor[:, None] * (vertices - axis)


def bare_outline(portrait: Portrait) -> np.ndarray:
    """(S, S) bool: the person's outline where it is skin."""
    person, skin = portrait.alpha > 0.5, portrait.regions[..., SKIN] > 0.5
    outline = person & ~ndimage.binary_erosion(person, border_value=1)
    return outline & ndimage.binary_dilation(skin, iterations=2)


def hair_outline(portrait: Portrait) -> np.ndarray:
    """(S, S) bool: where skin ends at hair or headwear."""
    skin = portrait.regions[..., SKIN] > SURE
    return skin & ndimage.binary_dilation(portrait.cover > 1 - SURE)


def meet_outline(
    portrait: Portrait,
    outline: np.ndarray,
    reach: float,
    points: np.ndarray,
    normals: np.ndarray,
    movable: np.ndarray,
    ears: tuple[np.ndarray, np.ndarray],
    covered: Raster,
) -> np.ndarray:
    """Move the mesh's side in the image plane so that its outline meets one of the portrait's.

    Args:
        outline: (S, S) bool. reach: share of the crop's side up to which the two outlines are taken for the same.
        points: (V, 3) head space. normals: (V, 3) unit. movable: (V,) bool. ears: (V,) bool each; one moves as a whole.
        covered: raster of the head.

    Returns:
        (V, 3) head space; depths unchanged.
    """
    size, camera = portrait.size, portrait.camera
    head = covered.covered
    mesh_outline = head & ~ndimage.binary_erosion(head, border_value=1)
    if not outline.any() or not mesh_outline.any():
        return points
    goal = np.argwhere(outline)[:, ::-1] + 0.5
    edge = np.argwhere(mesh_outline)[:, ::-1] + 0.5
    distance, nearest = cKDTree(edge).query(goal, distance_upper_bound=reach * size)
    met = np.isfinite(distance)
    if not met.any():
        return points
    anchors, shifts = edge[nearest[met]], goal[met] - edge[nearest[met]]
    pixels = camera.project(points)
    near, at = cKDTree(anchors).query(pixels, k=min(12, len(anchors)))
    weight = np.exp(-((near / (SPREAD * size)) ** 2) / 2).reshape(len(pixels), -1)
    shift = (weight[..., None] * shifts[at].reshape(*weight.shape, 2)).sum(1) / (weight.sum(1) + 0.3)[:, None]
    free = np.where(np.any(ears, 0), 1.0, np.clip((FRONTAL - portrait.facing(points, normals)) / 0.3, 0, 1))
    shift *= (free * movable)[:, None]
    depth = camera.to_camera(points)[:, 2]
    return camera.unproject(_each_as_one(pixels, pixels + shift, ears), depth)


def _each_as_one(pixels: np.ndarray, moved: np.ndarray, parts: tuple[np.ndarray, ...]) -> np.ndarray:
    """(V, 2), `moved` with each of the parts (V,) bool by the affine map of its pixels (V, 2) that comes nearest to it:
    moved one by one, the vertices of an ear fold it."""
    moved = moved.copy()
    for part in parts:
        if part.any():
            basis = np.column_stack([pixels[part], np.ones(part.sum())])
            moved[part] = basis @ np.linalg.lstsq(basis, moved[part], rcond=None)[0]
    return moved


def keep_inside(
    portrait: Portrait,
    safe: np.ndarray,
    reach: float,
    points: np.ndarray,
    movable: np.ndarray,
    ears: tuple[np.ndarray, ...] = (),
) -> np.ndarray:
    """Points (V, 3) in head space of which the movable ones (V,) bool that lie outside of a part (S, S) bool of the
    photo are moved to its nearest place, at their depth, if that is no farther than `reach`, pixels; ears (V,) bool
    each as a whole, so nearly there."""
    size, camera = portrait.size, portrait.camera
    if not safe.any():
        return points
    pixels = camera.project(points)
    column, row = np.clip(pixels.astype(int), 0, size - 1).T
    distance, (rows, columns) = ndimage.distance_transform_edt(~safe, return_indices=True)
    out = movable & (distance[row, column] > 0) & (distance[row, column] <= reach)
    out &= ((pixels >= 0) & (pixels < [size, portrait.bottom])).all(1)
    moved = pixels.copy()
    moved[out] = np.stack([columns[row[out], column[out]], rows[row[out], column[out]]], 1) + 0.5
    moved = _each_as_one(pixels, moved, ears)
    out |= np.any(ears, 0) if ears else out
    return np.where(out[:, None], camera.unproject(moved, camera.to_camera(points)[:, 2]), points)
