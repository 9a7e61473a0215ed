"""Texture coordinates of a head model: the head by the radial chart, what folds over itself as islands of its own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from backend.avatars.bust.chart import RadialChart
from backend.avatars.bust.mouth import LIP_RING
from flame import HeadModel

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

    def place(self, unit: np.ndarray) -> np.ndarray:
        """Points (..., 2) in [0, 1] (x right, y down) to atlas pixels."""
        return unit * [self.width, self.height] + [self.left, self.top]

    @property
    def slices(self) -> tuple[slice, slice]:
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)


def unwrap_head(
    model: HeadModel, vertices: np.ndarray, faces: np.ndarray, chart: RadialChart, head: Box, small: Box
) -> np.ndarray:
    """Atlas pixels (F, 3, 2) of the corners of a head's faces (F, 3).

    The skull and the face lie in `head`, by azimuth and row of the chart around them. Ears (outer and inner side
    apart), eyeballs, sockets and the inside of the mouth are flat islands in `small`.
    """
    corners = np.empty((len(faces), 3, 2))
    column, row, _ = chart.coordinates(vertices)
    period, last = chart.columns - 1, chart.shape[0] - 1
    x, y = column[faces], row[faces]
    x = x - period * (x > x.min(1, keepdims=True) + period / 2)
    # A corner at the pole has no azimuth of its own.
    at_pole = y < 0.3
    others = np.where(at_pole, np.nan, x)
    x = np.where(at_pole & ~at_pole.all(1, keepdims=True), np.nanmean(np.where(at_pole.all(1, keepdims=True), x, others), 1)[:, None], x)
    corners[:] = head.inset(24).place(np.stack([x / period, np.clip(y / last, 0, 1)], -1))
    groups = _groups(model, vertices, faces)
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


def _groups(model: HeadModel, vertices: np.ndarray, faces: np.ndarray):
    """(faces, axes) of the flat islands: which faces (F,) bool, and the two axes that they are flattened on."""
    normals = np.cross(vertices[faces[:, 1]] - vertices[faces[:, 0]], vertices[faces[:, 2]] - vertices[faces[:, 0]])
    front, side = [0, 1], [2, 1]

    def touching(name: str) -> np.ndarray:
        member = np.zeros(len(vertices), bool)
        member[model.regions.get(name, np.zeros(0, int))] = True
        return member[faces].all(1)

    groups = []
    for name, sign in (("ear_left", 1), ("ear_right", -1)):
        ear, outer = touching(name), normals[:, 0] * sign > 0
        groups += [(ear & outer, side), (ear & ~outer, side)]
    groups += [(touching(name), front) for name in ("eye_left", "eye_right")]
    sockets, mouth = touching("eye_socket"), touching("mouth_interior") | touching("tongue")
    # What shows of the mouth's inside between the lips is lip, seen from the front.
    lips = model.landmark_positions(vertices)[list(LIP_RING)]
    middle = vertices[faces].mean(1)
    near = cKDTree(lips).query(middle)[0] < AT_LIPS
    left = middle[:, 0] > 0
    groups += [(sockets & left, front), (sockets & ~left, front), (mouth & near, front), (mouth & ~near, front)]
    return groups
