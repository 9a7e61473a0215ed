"""The photograph of a synthetic person that is registered as a user's would be."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from backend.geometry.orbit import TO_CAMERA_AXES, rotation
from backend.people.synthesis.anatomy import FACE_SIDES
from backend.people.synthesis.background import draw_background
from backend.protocol.camera import Camera
from backend.tracking.photo import encode_photo
from backend.training.synthetic.figure import Figure
from backend.training.synthetic.materials import Looks
from backend.training.synthetic.rendering import render

SIZE = 576
FACE_SHARE = 0.36
"""Forehead to chin as a share of the photo's side; the tracker's crop is then a little narrower than the photo."""


@dataclass(frozen=True)
class Photo:
    """A photograph.

    Attributes:
        data: the bytes of a PNG file.
        camera: its camera over the figure's own head space.
    """

    data: bytes
    camera: Camera


def take_photo(figure: Figure, looks: Looks) -> Photo:
    """Photograph a figure nearly from the front, with a lens, framing, softness and noise drawn from its seed."""
    rng = figure.traits.rng(20)
    camera = _frame(figure, rng)
    picture = render(figure, looks, camera)
    alpha = picture.rgba[..., 3:]
    image = picture.rgba[..., :3] * alpha + draw_background(rng, SIZE) * (1 - alpha)
    image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 0.6))
    image = image + rng.normal(0, rng.uniform(0, 1.5) / 255, image.shape)
    return Photo(encode_photo(np.clip(np.rint(255 * image), 0, 255).astype(np.uint8)), camera)


def _frame(figure: Figure, rng: np.random.Generator) -> Camera:
    anatomy = figure.anatomy
    body = figure.vertices[: len(anatomy.template)]
    front = anatomy.template[:, 2] > anatomy.landmarks[FACE_SIDES[0], 2]
    top = anatomy.landmarks[10, 1]
    heights = body[front & (anatomy.template[:, 1] > anatomy.chin) & (anatomy.template[:, 1] < top)]
    low, high = heights.min(0), heights.max(0)
    middle, height = (low + high) / 2, high[1] - low[1]
    focal = SIZE * rng.uniform(2.2, 3.6)
    distance = focal * height / (FACE_SHARE * SIZE)
    turn = TO_CAMERA_AXES @ rotation(*np.radians([rng.uniform(-8, 8), rng.uniform(-6, 6), rng.uniform(-3, 3)]))
    pose = np.eye(4)
    pose[:3, :3] = turn
    pose[:3, 3] = [0, 0, distance] - turn @ middle
    shift = SIZE * rng.uniform(-0.01, 0.01, 2)
    K = [[focal, 0, SIZE / 2 + shift[0]], [0, focal, 0.49 * SIZE + shift[1]], [0, 0, 1]]
    return Camera.from_arrays(K, pose, SIZE, SIZE)
