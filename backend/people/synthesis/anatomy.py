"""Places on the head model's template that looks are painted by."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from flame import HeadModel

CHIN, BROW, NOSE_TIP, UPPER_LIP = 152, 105, 4, 13
CHEEKS = (50, 280)
FACE_SIDES = (234, 454)
EYE_CORNERS = ((33, 133), (263, 362))
JAW_LINE = (234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288, 361, 323, 454)
LIPS = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181, 91, 146)
UPPER_LIDS = ((33, 246, 161, 160, 159, 158, 157, 173, 133), (263, 466, 388, 387, 386, 385, 384, 398, 362))
LOWER_LIDS = ((33, 7, 163, 144, 145, 153, 154, 155, 133), (263, 249, 390, 373, 374, 380, 381, 382, 362))
BROWS = (((70, 63, 105, 66, 107), (46, 53, 52, 65, 55)), ((300, 293, 334, 296, 336), (276, 283, 282, 295, 285)))
"""mediapipe's landmark numbers; the person's right side first."""
SKULL_SIDE = 0.072
"""Metres from the middle to where the template's ears stand off its skull."""


@dataclass(frozen=True, eq=False)
class HeadAnatomy:
    """Canonical coordinates are the template's own: what is painted stays on the skin whatever its shape.

    Attributes:
        template: (V, 3).
        landmarks: (478, 3) on the template.
        brow, chin, ear: heights (y), metres.
        center: (3,) the middle of the skull.
        skull: vertex indices that hair lies on: the head without ears and eyes.
        head_weight: (V,) in [0, 1], how much a vertex moves with the head rather than with the torso.
        ears, eye_left, eye_right, mouth: boolean masks (V,); mouth is all that lies inside the lips.
        auricles: boolean mask (V,), the ears without the skin about them.
        teeth: boolean mask (V,), part of the mouth.
    """

    template: np.ndarray
    landmarks: np.ndarray
    brow: float
    chin: float
    ear: float
    center: np.ndarray
    skull: np.ndarray
    head_weight: np.ndarray
    ears: np.ndarray
    eye_left: np.ndarray
    eye_right: np.ndarray
    mouth: np.ndarray
    auricles: np.ndarray
    teeth: np.ndarray


@lru_cache(maxsize=2)
def anatomy_of(model: HeadModel) -> HeadAnatomy:
    """Find the places on a head model.

    Raises:
        ValueError: the model has no landmark embedding.
    """
    template = model.v_template
    landmarks = model.landmark_positions(template)
    masks = {name: _mask(model, name) for name in ("ear_left", "ear_right", "eye_left", "eye_right")}
    ears = masks["ear_left"] | masks["ear_right"]
    mouth = _mask(model, "mouth_interior") | _mask(model, "teeth") | _mask(model, "tongue")
    head_weight = model.lbs_weights[:, 1:].sum(1)
    eyes = masks["eye_left"] | masks["eye_right"]
    skull = np.flatnonzero((head_weight > 0.5) & ~ears & ~eyes & ~mouth)
    crown = template[skull, 1].max()
    depth = template[skull, 2]
    center = np.array([0.0, crown - 0.105, (depth.min() + depth.max()) / 2 - 0.01])
    ear = template[ears, 1].mean() if ears.any() else (landmarks[BROW, 1] + landmarks[NOSE_TIP, 1]) / 2
    return HeadAnatomy(
        template=template,
        landmarks=landmarks,
        brow=float(landmarks[BROW, 1]),
        chin=float(landmarks[CHIN, 1]),
        ear=float(ear),
        center=center,
        skull=skull,
        head_weight=head_weight,
        ears=ears,
        eye_left=masks["eye_left"],
        eye_right=masks["eye_right"],
        mouth=mouth,
        auricles=ears & (np.abs(template[:, 0]) > SKULL_SIDE),
        teeth=_mask(model, "teeth"),
    )


def _mask(model: HeadModel, region: str) -> np.ndarray:
    mask = np.zeros(len(model.v_template), bool)
    mask[model.regions.get(region, np.empty(0, int))] = True
    return mask
