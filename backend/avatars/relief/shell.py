"""The shell of hair and clothing: a front and a back sheet that meet at the silhouette."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy import ndimage

from backend.avatars.relief.depth import solve_balloon
from backend.avatars.relief.regions import CHIN, PortraitRegions, PosedModel
from backend.protocol.camera import Camera
from backend.rasterizer import rasterize

STEP = 3
"""Pixels of the portrait between two nodes of a sheet."""
TUCK = 0.004
"""Metres that the shell lies under the head mesh where the mesh is the visible surface."""
SKIRT = 0.06
"""Metres that the clothing is continued below the photo's lower edge."""


@dataclass(frozen=True)
class Sheet:
    """A triangulated grid over the portrait.

    Attributes:
        points: (n, 3) camera space, metres.
        faces: (m, 3) int32, counter-clockwise seen from outside.
        pixels: (n, 2) the place in the portrait that it shows.
        rim: (n,) bool, nodes on the silhouette.
    """

    points: np.ndarray
    faces: np.ndarray
    pixels: np.ndarray
    rim: np.ndarray


def build_shell(
    camera: Camera, landmarks: np.ndarray, posed: PosedModel, regions: PortraitRegions
) -> tuple[Sheet, Sheet]:
    """The front and the back sheet, for the portrait's camera.

    Args:
        landmarks: (478, 3) crop pixels.
    """
    size = camera.width
    nodes = np.arange(STEP // 2, size, STEP)
    grid = np.ix_(nodes, nodes)
    middle = _middle_plane(posed, landmarks[CHIN, 1], size)
    person = regions.person
    loose = regions.hair | regions.clothing

    # The front reaches a little under what the mesh owns; the back closes hair that parts round the ears.
    front_mask = (ndimage.binary_dilation(loose, iterations=6) & person)[grid]
    back_mask = _smooth(_row_hull(regions.hair), 81) | _smooth(_row_hull(regions.clothing), 21) | loose
    back_mask = (back_mask & person)[grid]

    front_depth = _front_depth(posed, regions, middle, grid)
    back_depth = _back_depth(posed, back_mask, regions, middle, grid)
    front = _sheet(camera, nodes, front_mask, front_depth, middle[grid], person, loose, outward=-1)
    back = _sheet(camera, nodes, back_mask, back_depth, middle[grid], person, loose, outward=1)
    return front, back


def depth_inside(camera: Camera, front: Sheet, back: Sheet) -> tuple[np.ndarray, np.ndarray]:
    """Depth (S, S) of the two sheets along the portrait's rays, inf where there is none."""
    depths = []
    for sheet in (front, back):
        screen = np.concatenate([sheet.pixels, sheet.points[:, 2:]], 1)
        depths.append(rasterize(screen, sheet.faces, camera.width, camera.width).depth)
    return depths[0], depths[1]


def _middle_plane(posed: PosedModel, chin: float, size: int) -> np.ndarray:
    """(S, S) depth of the plane where front and back meet: through the ears above, through the neck below."""
    head = posed.head_vertices & ~posed.eyes
    upper = head & (posed.screen[:, 1] < chin - 0.05 * size)
    z = posed.points[:, 2]
    at_head = 0.5 * (z[upper].min() + z[upper].max())
    neck = head & (posed.screen[:, 1] > chin)
    at_neck = 0.5 * (z[neck].min() + z[neck].max()) if neck.any() else at_head
    lower = 1 / (1 + np.exp(-(np.arange(size) - (chin - 6)) / 8.0))
    return np.repeat((at_head * (1 - lower) + at_neck * lower)[:, None], size, 1)


def _row_hull(mask: np.ndarray) -> np.ndarray:
    """Each row filled from its first to its last pixel."""
    return (np.cumsum(mask, 1) > 0) & (np.cumsum(mask[:, ::-1], 1)[:, ::-1] > 0)


def _smooth(mask: np.ndarray, gap: int) -> np.ndarray:
    """Without the frays that single rows leave, and without gaps of so many rows."""
    margin = gap + 1
    padded = cv2.copyMakeBorder(mask.astype(np.uint8), margin, margin, margin, margin, cv2.BORDER_REPLICATE)
    closed = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, np.ones((gap, 3), np.uint8))
    opened = cv2.morphologyEx(closed, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (21, 21)))
    return opened[margin:-margin, margin:-margin] > 0


def _edge(inside: np.ndarray) -> np.ndarray:
    return ndimage.binary_dilation(inside, np.ones((3, 3))) & ~inside


def _frame(inside: np.ndarray) -> np.ndarray:
    """Nodes at the photo's sides, where the photo cuts the person off and the shell has to close."""
    sides = np.zeros_like(inside)
    sides[:, [0, -1]] = True
    return inside & sides


def _front_depth(posed: PosedModel, regions: PortraitRegions, middle: np.ndarray, grid) -> np.ndarray:
    person, owned = regions.person[grid], regions.owned[grid]
    mid = middle[grid]
    head_seen = posed.head.covered[grid]
    mesh = np.where(head_seen, posed.head.depth[grid], mid)
    body = np.where(posed.whole.covered[grid], posed.whole.depth[grid], mid)
    core = ndimage.binary_erosion(regions.owned, iterations=4)[grid] & person

    square = lambda z: np.clip(mid - z, 0, 1) ** 2  # noqa: E731
    fixed = np.full(person.shape, np.nan)
    rim = _edge(person) & ~ndimage.binary_dilation(owned, np.ones((3, 3)))
    fixed[rim | _frame(person & ~owned)] = 0
    fixed[core] = square(mesh)[core]

    target, weight = np.zeros(person.shape), np.zeros(person.shape)
    inner = ndimage.distance_transform_edt(regions.person)[grid] > 12
    below = regions.clothing[grid]
    for where, depth, lead, strength in (
        (posed.whole.covered[grid] & ~head_seen & inner, body, 0.010, 0.02),  # clothing over the torso
        (head_seen & ~owned & ~below, mesh, 0.012, 0.02),  # hair over the skull
        (head_seen & ~owned & below, mesh, 0.004, 0.3),  # a collar over the neck
    ):
        target[where] = square(depth - lead)[where]
        weight[where] = strength
    u = solve_balloon(person, fixed, target, weight, source=2e-6)
    depth = mid - np.sqrt(np.clip(np.nan_to_num(u), 0, None))

    loose = person & ~core
    over = loose & head_seen & ~owned
    depth[over] = np.minimum(depth[over], mesh[over] - 0.002)
    smooth = cv2.GaussianBlur(depth, (0, 0), 1.0)
    free = loose & ~_frame(loose)
    depth[free] = smooth[free]
    under = owned & head_seen
    depth[under] = np.maximum(cv2.GaussianBlur(depth, (0, 0), 2.0), mesh + TUCK)[under]
    return depth


def _back_depth(posed: PosedModel, mask: np.ndarray, regions: PortraitRegions, middle: np.ndarray, grid) -> np.ndarray:
    size = middle.shape[0]
    mid = middle[grid]
    far = 2 * float(posed.points[:, 2].max())
    flipped = posed.screen * [1, 1, -1] + [0, 0, far]
    faces_of_head = posed.head_vertices
    skull = _far_depth(flipped, posed, faces_of_head, size, far)[grid]
    body = _far_depth(flipped, posed, np.ones(len(faces_of_head), bool), size, far)[grid]

    square = lambda z: np.clip(z - mid, 0, 1) ** 2  # noqa: E731
    target, weight = np.zeros(mask.shape), np.zeros(mask.shape)
    for known, lead in ((body, 0.010), (skull, 0.020)):
        seen = np.isfinite(known) & ndimage.binary_erosion(np.isfinite(known), iterations=3)
        target[seen] = square(known + lead)[seen]
        weight[seen] = 0.02
    fixed = np.full(mask.shape, np.nan)
    edge = _edge(mask)
    sideways = ndimage.binary_dilation(mask, [[0, 0, 0], [1, 1, 1], [0, 0, 0]]) & ~mask
    closed = edge & (~regions.person[grid] | sideways)
    # Where hair ends over the neck it lies on it.
    ends = edge & ~closed & np.isfinite(skull)
    fixed[ends] = square(skull + 0.002)[ends]
    fixed[closed | _frame(mask)] = 0
    u = solve_balloon(mask, fixed, target, weight, source=4e-6)
    depth = mid + np.sqrt(np.clip(np.nan_to_num(u), 0, None))
    return np.where(np.isfinite(skull) & np.isnan(fixed), np.maximum(depth, skull + 0.004), depth)


def _far_depth(flipped: np.ndarray, posed: PosedModel, member: np.ndarray, size: int, far: float) -> np.ndarray:
    """Depth of the far side of a part of the mesh, inf where there is none."""
    faces = posed.faces[member[posed.faces].all(1)]
    depth = rasterize(flipped, faces, size, size).depth
    return np.where(np.isfinite(depth), far - depth, np.inf)


def _sheet(
    camera: Camera,
    nodes: np.ndarray,
    mask: np.ndarray,
    depth: np.ndarray,
    middle: np.ndarray,
    person: np.ndarray,
    loose: np.ndarray,
    outward: int,
) -> Sheet:
    """Nodes inside the mask, plus a rim of nodes drawn onto the silhouette."""
    near_loose = ndimage.binary_dilation(loose, iterations=2 * STEP)
    rim = _edge(mask) & ~person[np.ix_(nodes, nodes)] & near_loose[np.ix_(nodes, nodes)]
    kept = mask | rim
    index = np.full(mask.shape, -1)
    index[kept] = np.arange(kept.sum())
    rows, columns = np.nonzero(kept)
    pixels = np.stack([nodes[columns], nodes[rows]], 1) + 0.5
    on_rim = rim[kept]
    pixels[on_rim] = _onto_contour(pixels[on_rim], person)
    z = np.where(on_rim, middle[kept], depth[kept])
    faces = _triangles(index)
    if outward > 0:
        faces = faces[:, ::-1]
    points, faces, pixels, on_rim = _skirt(
        _unproject(camera, pixels, z), faces, pixels, on_rim, nodes[-1] + 0.5, camera
    )
    return Sheet(points, faces.astype(np.int32), pixels, on_rim)


def _unproject(camera: Camera, pixels: np.ndarray, depth: np.ndarray) -> np.ndarray:
    rays = np.concatenate([pixels, np.ones((len(pixels), 1))], 1) @ np.linalg.inv(camera.intrinsics).T
    return rays * depth[:, None]


def _onto_contour(pixels: np.ndarray, person: np.ndarray) -> np.ndarray:
    """Move points near the silhouette onto it, along the gradient of the signed distance."""
    distance = ndimage.distance_transform_edt(person) - ndimage.distance_transform_edt(~person)
    distance = cv2.GaussianBlur(distance.astype(np.float32), (0, 0), 3)
    slope_y, slope_x = np.gradient(distance)
    pixels = pixels.copy()
    for _ in range(3):
        column, row = np.clip(pixels.astype(int), 0, person.shape[0] - 1).T
        s, gx, gy = distance[row, column], slope_x[row, column], slope_y[row, column]
        step = s / (gx**2 + gy**2 + 1e-3)
        pixels -= np.clip(np.stack([step * gx, step * gy], 1), -STEP, STEP)
    return pixels


def _triangles(index: np.ndarray) -> np.ndarray:
    """Two triangles for each full cell, one where a corner is missing; clockwise in the image (outside is in front)."""
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:]
    have = [corner >= 0 for corner in (a, b, c, d)]
    full = have[0] & have[1] & have[2] & have[3]
    faces = [np.stack([a, c, b], -1)[full], np.stack([b, c, d], -1)[full]]
    for corners, missing in (((a, c, b), 3), ((b, c, d), 0), ((a, d, b), 2), ((a, c, d), 1)):
        three = ~have[missing] & np.all([have[k] for k in range(4) if k != missing], 0)
        faces.append(np.stack(corners, -1)[three])
    return np.concatenate(faces)


def _skirt(points, faces, pixels, on_rim, last_row, camera):
    """Continue the clothing below the photo, textured by its own mirror image."""
    bottom = np.flatnonzero(np.isclose(pixels[:, 1], last_row))
    if len(bottom) < 2:
        return points, faces, pixels, on_rim
    bottom = bottom[np.argsort(pixels[bottom, 0])]
    lower = np.arange(len(bottom)) + len(points)
    linked = np.diff(pixels[bottom, 0]) < 2 * STEP
    a, b, c, d = bottom[:-1][linked], bottom[1:][linked], lower[:-1][linked], lower[1:][linked]
    front = points[faces[0]]
    facing = np.cross(front[1] - front[0], front[2] - front[0]) @ front[0] < 0
    strip = np.concatenate([np.stack([a, c, b], 1), np.stack([b, c, d], 1)])
    strip = strip if facing else strip[:, ::-1]
    mirrored = pixels[bottom].copy()
    mirrored[:, 1] -= SKIRT * camera.intrinsics[1, 1] / points[bottom, 2]
    return (
        np.concatenate([points, points[bottom] + [0, SKIRT, 0]]),
        np.concatenate([faces, strip]),
        np.concatenate([pixels, mirrored]),
        np.concatenate([on_rim, on_rim[bottom]]),
    )
