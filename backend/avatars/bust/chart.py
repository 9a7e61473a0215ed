"""The radial chart: a surface around an upright axis as a grid of radii over azimuth and row, which is its own uv."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from backend.geometry.rasterizer import Raster, rasterize

POLE_ROWS = 9
"""Rows around the pole over which a surface becomes round."""
EDGE = 1e-6
"""Share of a triangle by which a ray may miss it and hits it all the same: none passes between two."""
REACH = 1.0
"""Metres from the axis beyond which nothing is drawn into a chart."""


@dataclass(frozen=True)
class RadialChart:
    """Rows of rays from an upright axis: a cap of falling elevation, then a cylinder.

    Attributes:
        centre: (3,) metres, head space; the cap's rays start here, the cylinder's below it.
        cap_rows: rows from the pole (elevation 90 degrees) to the horizon; 0 for a cylinder alone.
        cylinder_rows: rows below the horizon, `step` metres apart.
        columns: azimuths from -180 to 180 degrees, both included: the first column and the last are the same ray.
    """

    centre: np.ndarray
    cap_rows: int
    cylinder_rows: int
    columns: int
    step: float

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the grid."""
        return self.cap_rows + self.cylinder_rows + 1, self.columns

    @property
    def azimuth(self) -> np.ndarray:
        """(columns,) radians; 0 is the face's front, positive the person's left."""
        return np.linspace(-np.pi, np.pi, self.columns)

    @property
    def height(self) -> np.ndarray:
        """(rows,) metres below the horizon; 0 within the cap."""
        return np.clip(np.arange(self.shape[0]) - self.cap_rows, 0, None) * self.step

    def rays(self) -> tuple[np.ndarray, np.ndarray]:
        """Origins (rows, columns, 3), metres, and unit directions (rows, columns, 3)."""
        rows = np.arange(self.shape[0])
        elevation = np.pi / 2 * np.clip(1 - rows / max(self.cap_rows, 1), 0, 1) if self.cap_rows else 0.0 * rows
        azimuth = self.azimuth
        flat = np.cos(elevation)[:, None]
        directions = np.stack(
            [
                flat * np.sin(azimuth),
                np.repeat(np.sin(elevation)[:, None], len(azimuth), 1),
                flat * np.cos(azimuth),
            ],
            -1,
        )
        origins = np.broadcast_to(self.centre, directions.shape).copy()
        origins[..., 1] -= self.height[:, None]
        return origins, directions

    def points(self, radius: np.ndarray) -> np.ndarray:
        """(rows, columns, 3) metres in head space of a surface with these radii (rows, columns)."""
        origins, directions = self.rays()
        return origins + radius[..., None] * directions

    @staticmethod
    def normals(points: np.ndarray) -> np.ndarray:
        """Outward unit normals (rows, columns, 3) of a surface's points (rows, columns, 3)."""
        around = np.gradient(np.concatenate([points[:, -2:-1], points, points[:, 1:2]], 1), axis=1)[:, 1:-1]
        normals = np.cross(np.gradient(points, axis=0), around)
        return normals / (np.linalg.norm(normals, axis=-1, keepdims=True) + 1e-12)

    def coordinates(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Column, row (both continuous, in grid steps) and radius (metres), each (n,), of points (n, 3)."""
        offset = points - self.centre
        level = np.hypot(offset[:, 0], offset[:, 2])
        azimuth = np.arctan2(offset[:, 0], offset[:, 2])
        column = (azimuth + np.pi) / (2 * np.pi) * (self.columns - 1)
        below = offset[:, 1] < 0
        if not self.cap_rows:
            return column, -offset[:, 1] / self.step, level
        elevation = np.arctan2(np.maximum(offset[:, 1], 0), level)
        row = np.where(below, -offset[:, 1] / self.step, -elevation / (np.pi / 2) * self.cap_rows) + self.cap_rows
        return column, row, np.where(below, level, np.linalg.norm(offset, axis=1))

    def draw(self, points: np.ndarray, faces: np.ndarray) -> tuple[Raster, np.ndarray]:
        """What each ray meets last of a mesh with points (n, 3) and faces (F, 3).

        Returns:
            The raster over (rows, columns), and the index of each of its triangles into `faces`.
        """
        column, row, radius = self.coordinates(points)
        period = self.columns - 1
        corners = column[faces]
        # A face that crosses the seam at the back is drawn on both sides of it.
        corners = corners + period * (corners < corners.max(1, keepdims=True) - period / 2)
        x = np.concatenate([corners, corners - period])
        which = np.tile(np.arange(len(faces)), 2)
        drawn = (x.max(1) >= 0) & (x.min(1) <= period)
        x, which = x[drawn], which[drawn]
        screen = np.stack([x + 0.5, row[faces[which]] + 0.5, REACH - radius[faces[which]]], -1).reshape(-1, 3)
        rows, columns = self.shape
        return rasterize(screen, np.arange(len(screen)).reshape(-1, 3), columns, rows), which

    def radius_of(self, points: np.ndarray, faces: np.ndarray) -> np.ndarray:
        """(rows, columns) metres to the last hit of each ray with a mesh; rays that miss take their neighbours'."""
        raster, _ = self.draw(points, faces)
        if not raster.covered.any():
            raise ValueError("the mesh is not around the chart's axis")
        radius, covered = REACH - raster.depth, raster.covered.copy()
        if self.cap_rows:
            # Around the pole a face is no triangle in the chart.
            cap = np.s_[:POLE_ROWS]
            row = self.coordinates(points)[1]
            origins, directions = self.rays()
            hits = _last_hits(origins[cap], directions[cap], points[faces[(row[faces] < 2 * POLE_ROWS).any(1)]])
            covered[cap] = hits > 0
            radius[cap] = hits
        return _from_neighbours(radius, covered)

    def covered_by(self, points: np.ndarray, faces: np.ndarray, member: np.ndarray) -> np.ndarray:
        """(rows, columns) bool: where the last hit of a ray is a face whose vertices are all members (n,) bool; rays
        that miss take their neighbours', but for those below the mesh."""
        raster, which = self.draw(points, faces)
        inside = raster.covered & member[faces].all(1)[which][np.maximum(raster.triangle, 0)]
        rows = np.flatnonzero(raster.covered.any(1))
        inside = _from_neighbours(inside, raster.covered) if len(rows) else inside
        inside[rows.max() + 1 :] = False
        return inside

    def faces(self) -> np.ndarray:
        """(F, 3) int32 over the grid's points, row by row, counter-clockwise seen from outside."""
        index = np.arange(np.prod(self.shape), dtype=np.int32).reshape(self.shape)
        a, b, c, d = (
            index[rows, columns].ravel()
            for rows in (slice(-1), slice(1, None))
            for columns in (slice(-1), slice(1, None))
        )
        return np.concatenate([np.stack([a, c, b], 1), np.stack([b, c, d], 1)])


def _last_hits(origins: np.ndarray, directions: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """How far along each ray (..., 3) the last of the triangles (F, 3, 3) lies, 0 where there is none (Moeller and
    Trumbore 1997)."""
    corner, first, second = triangles[:, 0], triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]
    directions, offset = directions[..., None, :], origins[..., None, :] - corner
    across = np.cross(directions, second)
    determinant = (across * first).sum(-1)
    inverse = 1 / np.where(np.abs(determinant) < 1e-12, np.inf, determinant)
    u = (offset * across).sum(-1) * inverse
    beside = np.cross(offset, first)
    v = (directions * beside).sum(-1) * inverse
    along = (second * beside).sum(-1) * inverse
    inside = (inverse != 0) & (u >= -EDGE) & (v >= -EDGE) & (u + v <= 1 + EDGE)
    return np.where(inside, along, 0).max(-1, initial=0)


def _from_neighbours(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Values (rows, columns) where they are known, elsewhere the nearest known one's, periodic in columns."""
    columns = values.shape[1]
    # The period is kept: three copies side by side, of which the middle one is taken.
    nearest = ndimage.distance_transform_edt(~np.tile(known[:, :-1], 3), return_distances=False, return_indices=True)
    middle = np.tile(values[:, :-1], 3)[tuple(nearest)][:, columns - 1 : 2 * columns - 2]
    return np.concatenate([middle, middle[:, :1]], 1)


def smooth(grid: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian smoothing over the chart, periodic in azimuth (the last column repeats the first)."""
    blurred = ndimage.gaussian_filter(grid[:, :-1], (sigma, sigma), mode=("nearest", "wrap"))
    return np.concatenate([blurred, blurred[:, :1]], 1)


def round_pole(radius: np.ndarray) -> np.ndarray:
    """Radii (rows, columns) that draw together at the pole, where all azimuths are one place."""
    share = np.clip(1 - np.arange(len(radius)) / POLE_ROWS, 0, 1)[:, None]
    return share * radius[:, :-1].mean(1, keepdims=True) + (1 - share) * smooth(radius, 1.2)
