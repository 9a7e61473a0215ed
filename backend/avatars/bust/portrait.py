"""The portrait as the bust's makers see it: the fitted head before the camera, and soft regions to look up."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numba import njit, prange
from scipy import ndimage

from backend.geometry.sampling import sample
from backend.protocol.camera import Camera
from backend.tracking import TrackedPortrait
from backend.tracking.landmarks import FACE_OVAL

BACKGROUND, SKIN, HAIR, HEADWEAR, CLOTHING, EYEWEAR = range(6)
BORDER = 4
"""Pixels from the picture's edge within which an outline is the edge's, not the person's."""
TURNED = np.radians(15)
"""Radians from which on a head is turned: the outline on its far side is that of the face."""
EYE_CORNERS, OVAL_SOFT = (33, 263), 1.5
"""Landmarks, and pixels over which the oval's edge is soft."""
RAY_STEP = 0.0006
"""Metres between the places along a ray that are looked up."""


@dataclass(frozen=True)
class Portrait:
    """A photo's crop with its regions and its camera.

    Attributes:
        camera: square, over head space.
        regions: (S, S, 6) float32 in [0, 1], background, skin, hair, headwear, clothing, eyewear.
        alpha: (S, S) float32, the person.
        face: (S, S) float32 in [0, 1], where a pixel may be the face's: above the eyes, or within the landmarks' oval.
        color: (S, S, 3) float32 sRGB 0..255, the person's own colour, without the background mixed in.
        bottom: the row at which the photo ends below, pixels.
    """

    camera: Camera
    regions: np.ndarray
    alpha: np.ndarray
    face: np.ndarray
    color: np.ndarray
    bottom: float

    @classmethod
    def of(cls, tracked: TrackedPortrait) -> Portrait:
        """A tracked portrait; what its matte leaves out is background, whatever the regions say."""
        found = tracked.regions
        regions = found.probabilities.copy()
        regions[..., 1:] *= (found.alpha / np.maximum(1 - regions[..., BACKGROUND], 1e-3)).clip(0, 1)[..., None]
        regions[..., BACKGROUND] = 1 - regions[..., 1:].sum(-1)
        bottom = np.flatnonzero(tracked.valid.any(1)).max() + 1.0
        face = _within_oval(tracked.landmarks, len(regions))
        return cls(tracked.camera, regions, found.alpha, face, found.foreground.astype(np.float32), float(bottom))

    @property
    def size(self) -> int:
        return self.alpha.shape[0]

    @property
    def azimuth(self) -> float:
        """Radians: where around the head the camera stands."""
        x, _, z = self.camera.center
        return float(np.arctan2(x, z))

    def turned(self, azimuth: np.ndarray) -> np.ndarray:
        """Azimuths around the head, radians, from the camera's own, in -pi to pi."""
        return (azimuth - self.azimuth + np.pi) % (2 * np.pi) - np.pi

    def side_column(self, azimuth: np.ndarray, sign: int) -> int:
        """Which of azimuths (n,), radians, is nearest to a side's outline: 1 for the person's left, -1."""
        return int(np.argmin(np.abs(self.turned(azimuth) - sign * np.pi / 2)))

    @property
    def seen_side(self) -> int:
        """Of a turned head the side, 1 for the person's left and -1, whose outline tells of hair and shoulders; 0 where
        both do."""
        return int(np.sign(self.azimuth)) if abs(self.azimuth) >= TURNED else 0

    @property
    def cover(self) -> np.ndarray:
        """(S, S): how much hair or headwear a pixel shows."""
        return self.regions[..., HAIR] + self.regions[..., HEADWEAR]

    def sample(self, image: np.ndarray, pixels: np.ndarray) -> np.ndarray:
        """Bilinear values (..., C) of an image (S, S) or (S, S, C) at pixels (..., 2); edges repeated."""
        return sample(image, pixels)

    def facing(self, points: np.ndarray, normals: np.ndarray) -> np.ndarray:
        """(...,) cosine between outward unit normals and the way to the camera."""
        way = self.camera.center - points
        return (normals * way).sum(-1) / np.linalg.norm(way, axis=-1)

    def outline(self, mask: np.ndarray, origins: np.ndarray, directions: np.ndarray, reach: float) -> np.ndarray:
        """How far along rays (n, 3) the last pixel of a mask (S, S) bool lies, metres; nan where there is none."""
        projection = self.camera.intrinsics @ self.camera.extrinsics[:3]
        starts = origins.reshape(-1, 3) @ projection[:, :3].T + projection[:, 3]
        along = directions.reshape(-1, 3) @ projection[:, :3].T
        return _last_inside(np.ascontiguousarray(mask), starts, along, reach).reshape(origins.shape[:-1])

    def hull(self, mask: np.ndarray, origins: np.ndarray, directions: np.ndarray, reach: float) -> np.ndarray:
        """As `outline`, with inf where a ray leaves the picture inside the mask, or never meets the mask."""
        far = self.outline(mask, origins, directions, reach)
        pixels = self.camera.project(origins + np.nan_to_num(far)[..., None] * directions)
        open_end = (pixels < BORDER).any(-1) | (pixels > [self.size - BORDER, self.bottom - BORDER]).any(-1)
        return np.where(np.isnan(far) | open_end, np.inf, far)


def _within_oval(landmarks: np.ndarray, size: int) -> np.ndarray:
    """See `Portrait.face`."""
    oval = landmarks[list(FACE_OVAL), :2]
    face = cv2.fillPoly(np.zeros((size, size), np.float32), [np.rint(oval).astype(np.int32)], (1.0,))
    face[: int(np.clip(landmarks[list(EYE_CORNERS), 1].mean(), 0, size))] = 1
    return cv2.GaussianBlur(face, (0, 0), OVAL_SOFT)


@njit(cache=True, parallel=True, nogil=True)
def _last_inside(mask, starts, along, reach):
    size = mask.shape[0]
    found = np.full(len(starts), np.nan)
    steps = int(reach / RAY_STEP)
    for i in prange(len(starts)):
        for k in range(steps, 0, -1):
            t = k * RAY_STEP
            w = starts[i, 2] + t * along[i, 2]
            x = int(np.floor((starts[i, 0] + t * along[i, 0]) / w))
            y = int(np.floor((starts[i, 1] + t * along[i, 1]) / w))
            if 0 <= x < size and 0 <= y < size and mask[y, x]:
                found[i] = t
                break
    return found


def smooth_rows(values: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian smoothing (n,) that leaves missing values (nan) out and fills them from the nearest."""
    known = ~np.isnan(values)
    if not known.any():
        return values
    filled = np.interp(np.arange(len(values)), np.flatnonzero(known), values[known])
    return ndimage.gaussian_filter1d(ndimage.median_filter(filled, 5, mode="nearest"), sigma, mode="nearest")
