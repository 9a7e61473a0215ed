"""The head mesh drawn to the person's outline where the outline is skin: cheeks, ears, neck.

Landmarks fix the face from the front; nothing but the outline tells how wide a head, how far out an ear, how thick a
neck is.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from backend.avatars.relief.regions import PosedModel
from backend.protocol.camera import Camera

REACH = 0.035
"""Share of the crop's side up to which the mesh's outline and the person's are taken for the same."""
SPREAD = 0.02
"""Share of the crop's side over which a correction fades out."""
FRONTAL = 0.75
"""|cos| to the photo's ray above which the landmarks rule and nothing is moved."""


def meet_outline(camera: Camera, posed: PosedModel, person: np.ndarray, skin: np.ndarray) -> np.ndarray:
    """Move the mesh's side in the image plane so that its outline meets the person's.

    Args:
        person, skin: (S, S) bool.

    Returns:
        (V, 3) camera space, metres; depths unchanged.
    """
    size = person.shape[0]
    outline = person & ~ndimage.binary_erosion(person, border_value=1)
    outline &= ndimage.binary_dilation(skin, iterations=3)
    covered = posed.head.covered
    mesh_outline = covered & ~ndimage.binary_erosion(covered, border_value=1)
    if not outline.any() or not mesh_outline.any():
        return posed.points
    goal = np.argwhere(outline)[:, ::-1] + 0.5
    edge = np.argwhere(mesh_outline)[:, ::-1] + 0.5
    distance, nearest = cKDTree(edge).query(goal, distance_upper_bound=REACH * size)
    met = np.isfinite(distance)
    if not met.any():
        return posed.points
    anchors, shifts = edge[nearest[met]], goal[met] - edge[nearest[met]]

    pixels = posed.screen[:, :2].astype(float)
    near, at = cKDTree(anchors).query(pixels, k=min(12, len(anchors)))
    weight = np.exp(-((near / (SPREAD * size)) ** 2) / 2).reshape(len(pixels), -1)
    shift = (weight[..., None] * shifts[at].reshape(*weight.shape, 2)).sum(1) / (weight.sum(1) + 0.3)[:, None]
    facing = -(posed.normals * posed.points).sum(1) / np.linalg.norm(posed.points, axis=1)
    shift *= (np.clip((FRONTAL - facing) / 0.3, 0, 1) * (posed.head_vertices & ~posed.eyes))[:, None]
    points = posed.points.copy()
    points[:, :2] += shift * points[:, 2:] / np.diag(camera.intrinsics)[:2]
    return points
