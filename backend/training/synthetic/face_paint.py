"""The face's colours, painted on a frontal plane in canonical coordinates: skin, lips, brows, lashes, stubble."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from backend.people.synthesis import anatomy as places
from backend.people.synthesis.anatomy import Anatomy
from backend.people.synthesis.noise import field_2d, sample_2d, smoothstep
from backend.people.synthesis.traits import Traits

SIZE = 1024
WIDTH = 0.26
"""Metres that the painting is wide."""


@dataclass(frozen=True)
class FacePaint:
    """A painting (SIZE, SIZE, 3) of sRGB colours and where it hangs.

    Attributes:
        image: float32 in [0, 1].
        top: height of its upper edge, metres.
    """

    image: np.ndarray
    top: float

    def sample(self, points: np.ndarray) -> np.ndarray:
        """Colours (N, 3) at canonical points (N, 3)."""
        x, y = _to_pixels(points, self.top).T
        return sample_2d(self.image, x, y)


def paint_face(traits: Traits, anatomy: Anatomy) -> FacePaint:
    """Paint a face; linear interpolation between its texels is enough at portrait sizes (0.25 mm each)."""
    rng = traits.rng(1)
    painter = _Painter(anatomy, rng)
    image = np.broadcast_to(traits.skin, (SIZE, SIZE, 3)).astype(np.float32)
    image = _complexion(image, traits, painter)
    image = painter.mix(image, traits.lips, _lips(painter))
    image = painter.mix(image, 0.55 * traits.hair, traits.stubble * 0.6 * _stubble(painter))
    image = painter.mix(image, 0.75 * traits.hair, traits.brow_density * _brows(painter, traits))
    image = painter.mix(image, np.array([0.09, 0.07, 0.06]), traits.lash_density * _lashes(painter))
    return FacePaint(np.clip(image, 0, 1), painter.top)


def _to_pixels(points: np.ndarray, top: float) -> np.ndarray:
    scale = SIZE / WIDTH
    return np.stack([(points[:, 0] + WIDTH / 2) * scale, (top - points[:, 1]) * scale], 1)


class _Painter:
    """Masks in the painting's plane from landmark numbers."""

    def __init__(self, anatomy: Anatomy, rng: np.random.Generator) -> None:
        self.top = anatomy.brow + 0.10
        self.rng = rng
        self.places = _to_pixels(anatomy.landmarks, self.top)

    def noise(self, sigma: float) -> np.ndarray:
        return field_2d(self.rng, (SIZE, SIZE), sigma)

    def polygon(self, numbers: tuple[int, ...], blur: float) -> np.ndarray:
        mask = np.zeros((SIZE, SIZE), np.float32)
        cv2.fillPoly(mask, [np.round(self.places[list(numbers)]).astype(np.int32)], 1.0, cv2.LINE_AA)
        return cv2.GaussianBlur(mask, (0, 0), blur)

    def disc(self, number: int, radius: int, blur: float) -> np.ndarray:
        mask = np.zeros((SIZE, SIZE), np.float32)
        cv2.circle(mask, tuple(int(v) for v in self.places[number]), radius, 1.0, -1)
        return cv2.GaussianBlur(mask, (0, 0), blur)

    @staticmethod
    def mix(image: np.ndarray, color: np.ndarray, weight: np.ndarray) -> np.ndarray:
        weight = np.clip(weight, 0, 1)[..., None]
        return image * (1 - weight) + np.asarray(color, np.float32) * weight


def _complexion(image: np.ndarray, traits: Traits, painter: _Painter) -> np.ndarray:
    uneven = 0.022 * painter.noise(45) + 0.015 * painter.noise(12)
    image = image * (1 + traits.blotches * uneven[..., None] * np.array([0.7, 1.1, 1.1], np.float32))
    flush = sum(painter.disc(number, 60, 34) for number in places.CHEEKS) + 0.6 * painter.disc(places.NOSE_TIP, 32, 20)
    image = image * (1 - traits.blush * flush[..., None] * np.array([0.02, 0.13, 0.11], np.float32))
    sockets = sum(painter.polygon(lid, 14) for lid in places.LOWER_LIDS) + sum(
        painter.polygon(lid, 18) for lid in places.UPPER_LIDS
    )
    image = image * (1 - 0.35 * np.clip(sockets, 0, 1)[..., None] * np.array([0.16, 0.22, 0.18], np.float32))
    if traits.freckles > 0:
        spots = smoothstep(painter.noise(1.6), 2.3 - 0.5 * traits.freckles, 2.9 - 0.5 * traits.freckles)
        spots = spots * smoothstep(painter.noise(50), -1, 1) * (0.3 + flush)
        image = image * (1 - 0.45 * np.clip(spots, 0, 1)[..., None] * np.array([0.5, 0.8, 1.0], np.float32))
    return image * (1 + traits.pores * painter.noise(1.0)[..., None])


def _lips(painter: _Painter) -> np.ndarray:
    return painter.polygon(places.LIPS, 3.5) * (0.85 + 0.06 * painter.noise(2))


def _stubble(painter: _Painter) -> np.ndarray:
    beard = painter.polygon((*places.JAW_LINE, 425, 326, 2, 97, 205), 20)
    lips = painter.polygon(places.LIPS, 5)
    return np.clip(beard * (1 - lips) * (0.8 + 0.15 * painter.noise(1.0)), 0, 1)


def _brows(painter: _Painter, traits: Traits) -> np.ndarray:
    """Single hairs, growing outwards and a little upwards."""
    strokes = np.zeros((SIZE, SIZE), np.float32)
    for upper, lower in places.BROWS:
        middle = (painter.places[list(upper)] + 2 * painter.places[list(lower)]) / 3
        outwards = np.sign(middle[0, 0] - middle[-1, 0])
        spread = traits.brow_width * SIZE / WIDTH
        for _ in range(280):
            place = painter.rng.uniform(0, len(middle) - 1.001)
            k = int(place)
            thin = 0.45 + 0.55 * place / (len(middle) - 1)
            root = middle[k] + (place - k) * (middle[k + 1] - middle[k]) + painter.rng.normal(0, spread * thin, 2)
            rise = painter.rng.uniform(0, 9) * place / (len(middle) - 1)
            tip = root + np.array([outwards * painter.rng.uniform(6, 15), -rise])
            cv2.line(strokes, *(tuple(int(v) for v in np.round(p)) for p in (root, tip)), 1.0, 1, cv2.LINE_AA)
    return cv2.GaussianBlur(strokes, (0, 0), 1.2)


def _lashes(painter: _Painter) -> np.ndarray:
    lines = np.zeros((SIZE, SIZE), np.float32)
    for lid in places.UPPER_LIDS:
        cv2.polylines(lines, [np.round(painter.places[list(lid)]).astype(np.int32)], False, 1.0, 4, cv2.LINE_AA)
    return cv2.GaussianBlur(lines, (0, 0), 1.5)
