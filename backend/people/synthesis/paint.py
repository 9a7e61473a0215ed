"""What is painted on the skin, on a frontal plane over the template: colours, and heights for the bump map."""

from __future__ import annotations

import cv2
import numpy as np

from backend.geometry.smoothstep import smoothstep
from backend.people.synthesis import anatomy as places
from backend.people.synthesis.anatomy import HeadAnatomy
from backend.people.synthesis.noise import field_2d, to_linear
from backend.people.synthesis.person import Person

SIZE, WIDTH = 1024, 0.26
"""Pixels, and the metres that they span."""
TOP_ABOVE_BROW = 0.10
FULL = (1.0,)
"""What OpenCV draws masks with."""


def plane(points: np.ndarray, anatomy: HeadAnatomy) -> np.ndarray:
    """Texture coordinates (V, 2) in [0, 1], v upwards, of canonical points (V, 3)."""
    bottom = anatomy.brow + TOP_ABOVE_BROW - WIDTH
    return np.stack([points[:, 0] / WIDTH + 0.5, (points[:, 1] - bottom) / WIDTH], 1).astype(np.float32)


def _field(rng: np.random.Generator, sigma: float) -> np.ndarray:
    """Noise of the painting's size; broad noise is drawn coarsely and enlarged, which is quick and looks the same."""
    coarse = 2 ** int(max(0, np.log2(max(sigma, 1) / 2.5)))
    field = field_2d(rng, (SIZE // coarse, SIZE // coarse), sigma / coarse)
    return field if coarse == 1 else cv2.resize(field, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)


def paint_skin(person: Person, anatomy: HeadAnatomy) -> tuple[np.ndarray, np.ndarray]:
    """What the skin's linear light is multiplied by; height in mm, gloss in [0, 1], 0. (SIZE, SIZE, 3), row 0 on top.

    A photographed skin has most of it already: there only what varies between people of the same skin is painted.
    """
    rng, traits = person.rng(20), person.traits
    photographed = person.wardrobe is not None
    own = 0.3 if photographed else 1.0
    at = plane(anatomy.landmarks, anatomy) * SIZE
    at[:, 1] = SIZE - at[:, 1]
    color = np.broadcast_to(traits.skin, (SIZE, SIZE, 3)).astype(np.float32)
    uneven = own * 0.020 * _field(rng, 45) + 0.014 * _field(rng, 12)
    color = color * (1 + traits.blotches * uneven[..., None] * np.array([0.6, 1.0, 1.0], np.float32))
    flush = sum(_disc(at[k], 62, 34) for k in places.CHEEKS) + 0.7 * _disc(at[places.NOSE_TIP], 34, 20)
    flush = flush + 0.35 * _disc(at[places.CHIN], 50, 25)
    color = color * (1 - own * (0.25 + traits.blush) * flush[..., None] * np.array([0.03, 0.15, 0.12], np.float32))
    sockets = sum(_polygon(at, lid, 14) for lid in (*places.LOWER_LIDS, *places.UPPER_LIDS))
    tired = 0.35 + 0.5 * person.age_lines
    color = color * (1 - own * tired * np.clip(sockets, 0, 1)[..., None] * np.array([0.14, 0.20, 0.15], np.float32))
    if traits.freckles > 0:
        spots = smoothstep(_field(rng, 1.8), 2.3 - 0.6 * traits.freckles, 2.9 - 0.5 * traits.freckles)
        spots = np.clip(spots * smoothstep(_field(rng, 50), -1.5, 0.8) * (0.35 + flush), 0, 1)
        color = color * (1 - 0.5 * spots[..., None] * np.array([0.45, 0.8, 1.0], np.float32))
    for _ in range(rng.integers(0, 5)):
        mole = _disc(rng.uniform([330, 250], [700, 800]), rng.integers(2, 5), 1.0)
        color = color * (1 - 0.65 * mole[..., None] * np.array([0.7, 0.9, 1.0], np.float32))
    color = color * (1 + own * traits.pores * 0.8 * _field(rng, 1.2)[..., None])
    if person.make_up:
        color = _made_up(color, person, at, rng)
    lips = _polygon(at, places.LIPS, 3.0) * (0.88 + 0.05 * _field(rng, 2))
    color = _mix(color, traits.lips, (0.5 * person.make_up if photographed else 1.0) * lips)
    color = (
        color
        if photographed
        else _mix(
            color,
            traits.lips * 0.45,
            0.55 * _line(at, (61, 78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 291), 2, 1.5),
        )
    )
    lids = np.sum([_line(at, lid, 3, 1.6) for lid in places.UPPER_LIDS], 0)
    color = _mix(color, traits.skin * np.array([0.55, 0.42, 0.40]), own * 0.5 * lids)
    if person.beard != "none":
        shadow = _polygon(at, (*places.JAW_LINE, 425, 326, 2, 97, 205), 22) * (1 - _polygon(at, places.LIPS, 6))
        color = _mix(color, 0.5 * traits.skin + 0.3 * traits.hair, 0.28 * shadow * (1 + 0.15 * _field(rng, 1.2)))
    for upper, lower in places.BROWS:
        color = _mix(
            color,
            0.6 * traits.skin + 0.3 * traits.hair,
            own * 0.35 * traits.brow_density * _polygon(at, (*upper, *lower[::-1]), 7),
        )
    ratio = to_linear(np.clip(color, 0.01, 0.98)) / to_linear(traits.skin)
    return ratio.astype(np.float32), _relief(person, at, rng, lips, flush)


def _made_up(color: np.ndarray, person: Person, at: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    shade = rng.choice([[0.42, 0.30, 0.28], [0.30, 0.26, 0.34], [0.52, 0.36, 0.34], [0.25, 0.30, 0.36]])
    lids = sum(
        _polygon(at, (*lid, *lower[::-1]), 9) for lid, (_, lower) in zip(places.UPPER_LIDS, places.BROWS, strict=True)
    )
    color = _mix(color, np.asarray(shade) * (0.4 + person.traits.skin), 0.38 * person.make_up * np.clip(lids, 0, 1))
    liner = np.sum([_line(at, lid, 4, 1.2) for lid in places.UPPER_LIDS], 0)
    color = _mix(color, np.array([0.06, 0.05, 0.05]), 0.75 * person.make_up * liner)
    rouge = sum(_disc(at[k] + [0, -12], 48, 26) for k in places.CHEEKS)
    return _mix(color, person.traits.skin * np.array([1.0, 0.66, 0.66]), 0.3 * person.make_up * np.clip(rouge, 0, 1))


def _relief(
    person: Person, at: np.ndarray, rng: np.random.Generator, lips: np.ndarray, flush: np.ndarray
) -> np.ndarray:
    height = 0.015 * _field(rng, 1.6) + 0.012 * _field(rng, 4)
    grooves = field_2d(rng, (SIZE, SIZE), (8, 1.3))
    height = height + 0.05 * lips * grooves
    lines = np.zeros((SIZE, SIZE), np.float32)

    def crease(points: np.ndarray, strength: float, width: float) -> None:
        smooth = np.stack(
            [np.interp(np.linspace(0, len(points) - 1, 60), np.arange(len(points)), points[:, k]) for k in (0, 1)], 1
        )
        smooth = np.stack([cv2.GaussianBlur(smooth[:, k : k + 1], (1, 0), 0, sigmaY=6)[:, 0] for k in (0, 1)], 1)
        smooth[:, 1] += np.cumsum(rng.normal(0, 0.25, 60))
        mask = np.zeros((SIZE, SIZE), np.float32)
        cv2.polylines(mask, [np.round(smooth * 8).astype(np.int32)], False, FULL, max(1, round(width)), cv2.LINE_AA, 3)
        lines[...] += strength * cv2.GaussianBlur(mask, (0, 0), width)

    age = person.age_lines
    for numbers in ((129, 203, 206, 216, 212), (358, 423, 426, 436, 432)):
        crease(at[list(numbers)], 0.35 + 1.1 * age, 5)
    for numbers in ((243, 112, 26, 22, 23), (463, 341, 256, 252, 253)):
        crease(at[list(numbers)] + [0, 6], 0.15 + 0.7 * age, 4)
    for row in range(round(4 * age)):
        place = at[[54, 103, 67, 109, 10, 338, 297, 332, 284]] * [0.72, 1] + [0.28 * SIZE / 2, 46 + 24 * row]
        crease(place[1:-1], 0.8 * age * rng.uniform(0.6, 1), 3)
    for corner, out in ((33, -1), (263, 1)):
        for k in range(round(4 * age)):
            reach = np.array([[out * 8, 0], [out * 22, 7 * (k - 1.5)], [out * 44, 17 * (k - 1.5)]])
            crease(at[corner] + reach, 0.7 * age * rng.uniform(0.5, 1), 2)
    gloss = 0.5 * lips + 0.35 * np.clip(flush, 0, 1) + 0.15 * _disc(at[9] + [0, -60], 90, 40)
    return np.stack([height - 0.28 * lines, np.clip(gloss, 0, 1), 0 * gloss], -1).astype(np.float32)


def _polygon(at: np.ndarray, numbers: tuple[int, ...], blur: float) -> np.ndarray:
    mask = np.zeros((SIZE, SIZE), np.float32)
    cv2.fillPoly(mask, [np.round(at[list(numbers)]).astype(np.int32)], FULL, cv2.LINE_AA)
    return _blurred(mask, blur)


def _disc(center: np.ndarray, radius: int, blur: float) -> np.ndarray:
    mask = np.zeros((SIZE, SIZE), np.float32)
    cv2.circle(mask, (int(center[0]), int(center[1])), int(radius), FULL, -1)
    return _blurred(mask, blur)


def _line(at: np.ndarray, numbers: tuple[int, ...], width: int, blur: float) -> np.ndarray:
    mask = np.zeros((SIZE, SIZE), np.float32)
    cv2.polylines(mask, [np.round(at[list(numbers)]).astype(np.int32)], False, FULL, width, cv2.LINE_AA)
    return _blurred(mask, blur)


def _blurred(mask: np.ndarray, blur: float) -> np.ndarray:
    if blur < 6:
        return cv2.GaussianBlur(mask, (0, 0), blur)
    small = cv2.resize(mask, (SIZE // 4, SIZE // 4), interpolation=cv2.INTER_AREA)
    return cv2.resize(cv2.GaussianBlur(small, (0, 0), blur / 4), (SIZE, SIZE), interpolation=cv2.INTER_LINEAR)


def _mix(image: np.ndarray, color: np.ndarray, weight: np.ndarray) -> np.ndarray:
    weight = np.clip(weight, 0, 1)[..., None]
    return (image * (1 - weight) + np.asarray(color, np.float32) * weight).astype(np.float32)
