"""Texture for what the photo did not see: hair and cloth continue as their own mirror image.

From the line where the photo stops seeing the shell well, a point farther round the head borrows from as far inside
that line, so that strands keep their size instead of being stretched to the silhouette.
"""

from __future__ import annotations

import cv2
import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from backend.avatars.relief.shell import STEP, Sheet

TRUSTED_FACING = 0.45
"""|cos| to the photo's ray above which the photo's texture is dense enough to lend."""
ROW_PREFERENCE = 2.5
"""How much rather a point borrows from its own height than from another."""
NARROWEST = 5
"""Pixels; a band of hair narrower than this lends only its colour."""


FARTHEST = 0.20
"""Metres round the head beyond which only the colour is borrowed: lines of different sides would meet in a seam."""


class Lender:
    """The lines along which a shell lends texture, with the direction and the room inwards of each."""

    def __init__(self, sheet: Sheet, facing: np.ndarray, lends: np.ndarray, person: np.ndarray, focal: float):
        """
        Args:
            sheet: the front sheet; facing: (n,) |cos| of its nodes to the photo's rays.
            lends: (S, S) bool, pixels that may be borrowed: hair and clothing away from the edge of the matte.
            person: (S, S) bool.
            focal: pixels.
        """
        distance = ndimage.distance_transform_edt(person)
        distance = cv2.GaussianBlur(distance.astype(np.float32), (0, 0), 6)
        slope_y, slope_x = np.gradient(distance)
        column, row = _cells(sheet.pixels, person.shape[0])
        lending = lends[row, column]
        good = (facing > TRUSTED_FACING) & lending
        # The line: good nodes with a node nearby that is seen too grazingly.
        grazing = (facing <= TRUSTED_FACING) | ~lending
        outside = sheet.pixels[grazing & (distance[row, column] < 0.12 * person.shape[0])]
        if not good.any() or not len(outside):
            self.pixels = np.zeros((0, 2))
            return
        near = cKDTree(outside).query(sheet.pixels, distance_upper_bound=2.2 * STEP)[0]
        line = np.flatnonzero(good & np.isfinite(near))
        self.pixels = sheet.pixels[line]
        self.points = sheet.points[line]
        inward = np.stack([slope_x[row[line], column[line]], slope_y[row[line], column[line]]], 1)
        self.inward = inward / np.maximum(np.linalg.norm(inward, axis=1, keepdims=True), 1e-6)
        self.scale = focal / self.points[:, 2]
        self.lends = ndimage.binary_dilation(lends, iterations=2)
        self.room = self._rooms(lends)
        self.tree = cKDTree(self.pixels * [1, ROW_PREFERENCE])
        self._smooth()

    def _rooms(self, lends: np.ndarray) -> np.ndarray:
        """How far inwards each line point may lend, pixels."""
        steps = np.arange(0, lends.shape[0] // 2, 2.0)
        path = self.pixels[:, None] + self.inward[:, None] * steps[None, :, None]
        column, row = _cells(path.reshape(-1, 2), lends.shape[0])
        clear = lends[row, column].reshape(len(path), len(steps))
        return steps[np.where(clear.all(1), -1, np.argmin(clear, 1) - 1)]

    def _smooth(self, count: int = 24) -> None:
        _, neighbours = self.tree.query(self.pixels * [1, ROW_PREFERENCE], k=min(count, len(self.pixels)))
        neighbours = neighbours.reshape(len(self.pixels), -1)
        self.room = np.minimum(self.room[neighbours].mean(1), self.room + NARROWEST)
        inward = self.inward[neighbours].mean(1)
        self.inward = inward / np.maximum(np.linalg.norm(inward, axis=1, keepdims=True), 1e-6)

    def borrow(self, points: np.ndarray, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where points (n, 3) in camera space, which project to pixels (n, 2), borrow from.

        Returns:
            pixels: (n, 2) in the portrait; weight: (n,) 0 where there is no band wide enough to lend.
        """
        if not len(self.pixels):
            return pixels.copy(), np.zeros(len(pixels), np.float32)
        nearest = self.tree.query(pixels * [1, ROW_PREFERENCE])[1]
        arc = np.linalg.norm(points - self.points[nearest], axis=1) * self.scale[nearest]
        room = np.maximum(self.room[nearest], NARROWEST)
        inside = np.abs((arc + room) % (2 * room) - room)
        weight = np.clip((self.room[nearest] - NARROWEST) / NARROWEST, 0, 1)
        weight *= np.clip((FARTHEST - arc / self.scale[nearest]) / (0.4 * FARTHEST), 0, 1)
        lent = self.pixels[nearest] + self.inward[nearest] * inside[:, None]
        column, row = _cells(lent, len(self.lends))
        return lent, (weight * self.lends[row, column]).astype(np.float32)


def _cells(pixels: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    column, row = np.clip(pixels.astype(int), 0, size - 1).T
    return column, row
