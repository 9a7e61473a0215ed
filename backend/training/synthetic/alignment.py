"""Bring a true head onto the fitted one without changing what the portrait shows.

One photo does not tell a face's depth: fitted and true head differ in novel views by pixels, which would teach a
refiner to blur. Each true point is therefore moved along its own viewing ray of the portrait, and only so: at the
portrait's view nothing changes, in other views most of the ambiguity is gone.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.spatial import cKDTree

from backend.people.pairing.alignment import EARS, FULL, NONE
from backend.people.synthesis.noise import smoothstep
from backend.protocol.camera import Camera
from backend.tracking import TrackedPortrait
from backend.training.synthetic.figure import Figure
from flame.geometry import vertex_normals

NEIGHBOURS = 12


def align(figure: Figure, true_camera: Camera, tracked: TrackedPortrait) -> Figure:
    """The figure in the tracked portrait's head space.

    Args:
        true_camera: the portrait's true camera over the figure's space, in the tracked crop's pixels.
    """
    fitted = tracked.camera
    points = true_camera.to_camera(figure.vertices)
    pixels = true_camera.project(figure.vertices)
    body = len(figure.anatomy.template)
    fitted_depth = fitted.to_camera(tracked.vertices)[:, 2]
    near = _nearness(figure)
    scale = np.median(fitted_depth[near == 1] / points[:body, 2][near == 1])
    depth = scale * points[:, 2]
    stretch = near * (fitted_depth / depth[:body] - 1)
    depth[:body] *= 1 + stretch
    depth[body:] *= 1 + _carried(points[:body], stretch, points[body:])
    vertices = fitted.unproject(pixels, depth)
    to_head = np.linalg.inv(fitted.extrinsics)
    return figure.moved(vertices.astype(np.float32), to_head[:3, :3] @ true_camera.extrinsics[:3, :3])


def _nearness(figure: Figure) -> np.ndarray:
    """(V,) in [0, 1]: how far the fit is to be followed."""
    anatomy = figure.anatomy
    distance, _ = cKDTree(anatomy.landmarks).query(anatomy.template)
    return smoothstep(distance, NONE, FULL) * np.where(anatomy.ears, EARS, 1)


def _carried(body: np.ndarray, stretch: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The stretch of hair and glasses (P,): that of the head's parts beside them."""
    if not len(points):
        return np.zeros(0)
    distance, nearest = cKDTree(body).query(points, k=NEIGHBOURS)
    weight = 1 / (distance + 0.004)
    return (stretch[nearest] * weight).sum(1) / weight.sum(1)


def expressed(figure: Figure, offsets: np.ndarray, faces: np.ndarray) -> Figure:
    """An aligned figure with vertex offsets (V, 3) added to its body, for another expression than the portrait's."""
    vertices = figure.vertices.copy()
    body = len(offsets)
    before = vertex_normals(vertices[:body], faces)
    vertices[:body] += offsets
    normals = figure.normals.copy()
    # Only the change: the shading keeps agreeing with the portrait where nothing moved.
    normals[:body] += vertex_normals(vertices[:body], faces) - before
    return replace(figure, vertices=vertices, normals=normals)
