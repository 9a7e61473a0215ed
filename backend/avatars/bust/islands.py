"""Texture coordinates of a head model: the head by the radial chart, what folds over itself as islands of its own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from backend.avatars.bust.anatomy import Anatomy
from backend.avatars.bust.chart import RadialChart

MARGIN = 24
"""Pixels around the head's part of the atlas into which faces at the seam reach."""
AT_LIPS = 0.006
"""Metres from the lips' edge up to which the mouth's inside is an island of its own."""


@dataclass(frozen=True)
class Box:
    """A rectangle of the atlas in pixels: left, top, width, height."""

    left: int
    top: int
    width: int
    height: int

    def inset(self, margin: int) -> Box:
        return Box(self.left + margin, self.top + margin, self.width - 2 * margin, self.height - 2 * margin)

    def beside(self, other: Box) -> Box:
        """This box and another of the same height to its right as one."""
        return Box(self.left, self.top, self.width + other.width, self.height)

    def place(self, unit: np.ndarray) -> np.ndarray:
        """Points (..., 2) in [0, 1] (x right, y down) to atlas pixels."""
        return unit * [self.width, self.height] + [self.left, self.top]

    @property
    def slices(self) -> tuple[slice, slice]:
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)


def unwrap_head(
    anatomy: Anatomy,
    lips: np.ndarray,
    vertices: np.ndarray,
    faces: np.ndarray,
    chart: RadialChart,
    head: Box,
    small: Box,
) -> np.ndarray:
    """Atlas pixels (F, 3, 2) of the corners of a head's faces (F, 3).

    The skull and the face lie in `head`, by azimuth and row of the chart around them. Ears (outer and inner side
    apart), eyeballs, sockets and the inside of the mouth are flat islands in `small`.

    Args:
        lips: (n, 3), the lips' inner edge.
    """
    corners = np.empty((len(faces), 3, 2))
    column, row, _ = chart.coordinates(vertices)
    period, last = chart.columns - 1, chart.shape[0] - 1
    x, y = column[faces], row[faces]
    x = x - period * (x > x.min(1, keepdims=True) + period / 2)
    # A corner at the pole has no azimuth of its own.
    at_pole = y < 0.3
    others = np.where(at_pole, np.nan, x)
    x = np.where(
        at_pole & ~at_pole.all(1, keepdims=True),
        np.nanmean(np.where(at_pole.all(1, keepdims=True), x, others), 1)[:, None],
        x,
    )
    # Each face lies where its middle is; one that crosses the seam reaches into the margin.
    x = x + period * (x.mean(1, keepdims=True) < 0)
    inner = head.inset(MARGIN)
    corners[:] = inner.place(np.stack([x / period, np.clip(y / last, 0, 1)], -1))
    corners[..., 0] = corners[..., 0].clip(head.left + 1, head.left + head.width - 1)
    groups = _groups(anatomy, lips, vertices, faces)
    per_row = 4
    cell = small.width // per_row
    for number, (members, axes) in enumerate(groups):
        if not members.any():
            continue
        box = Box(small.left + cell * (number % per_row), small.top + cell * (number // per_row), cell, cell).inset(6)
        flat = vertices[faces[members]][..., axes]
        low, high = flat.min((0, 1)), flat.max((0, 1))
        unit = (flat - low) / max((high - low).max(), 1e-9)
        corners[members] = box.place(np.stack([unit[..., 0], 1 - unit[..., 1]], -1))
    return corners


def _groups(anatomy: Anatomy, lips: np.ndarray, vertices: np.ndarray, faces: np.ndarray):
    """(faces, axes) of the flat islands: which faces (F,) bool, and the two axes that they are flattened on."""
    normals = np.cross(vertices[faces[:, 1]] - vertices[faces[:, 0]], vertices[faces[:, 2]] - vertices[faces[:, 0]])
    middle = vertices[faces].mean(1)
    front, side = [0, 1], [2, 1]
    groups = []
    for member, sign in ((anatomy.ear_left, 1), (anatomy.ear_right, -1)):
        ear, outer = member[faces].any(1), normals[:, 0] * sign > 0
        groups += [(ear & outer, side), (ear & ~outer, side)]
    groups += [(member[faces].all(1), front) for member in (anatomy.eye_left, anatomy.eye_right)]
    sockets, mouth, left = anatomy.sockets[faces].all(1), anatomy.mouth[faces].all(1), middle[:, 0] > 0
    # What shows of the mouth's inside between the lips is lip, seen from the front.
    near = cKDTree(lips).query(middle)[0] < AT_LIPS
    groups += [(sockets & left, front), (sockets & ~left, front), (mouth & near, front), (mouth & ~near, front)]
    return groups
