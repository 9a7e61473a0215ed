"""Exact labels of synthetic people, from the folders that `turboportrait data synthesize` wrote."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from backend.geometry.sampling import between_centres
from backend.people.parsing.pictures import FACE_HEIGHTS, SIZE, LabelledPicture
from backend.people.synthesis.files import read_person
from backend.tracking.parser import CLASSES
from backend.tracking.photo import crop_around

MOST_YAW = 75
"""Degrees off the front beyond which no portrait is taken."""


def label_person(folder: Path) -> Iterator[LabelledPicture]:
    """The views of a person, from the front and from the sides, as pictures.

    Raises:
        TurboPortraitError: `bad_corpus`: the folder is damaged.
    """
    person = read_person(folder)
    views = zip(person.images, person.labels, person.backgrounds, person.landmarks, person.angles, strict=True)
    for view, (rgba, labels, background, landmarks, (yaw, _)) in enumerate(views):
        if abs(yaw) > MOST_YAW:
            continue
        crop = crop_around(rgba[..., :3], landmarks[:468], SIZE, FACE_HEIGHTS)
        matrix = between_centres(crop.from_photo)

        def warp(image: np.ndarray, nearest: bool = False, matrix: np.ndarray = matrix) -> np.ndarray:
            flags = cv2.INTER_NEAREST if nearest else cv2.INTER_LINEAR
            return cv2.warpAffine(image, matrix, (SIZE, SIZE), flags=flags, borderMode=cv2.BORDER_REPLICATE)

        alpha = warp(rgba[..., 3])
        cover = alpha[..., None] / np.float32(255)
        image = crop.image * cover + warp(background) * (1 - cover)
        places = landmarks @ crop.from_photo[:, :2].T + crop.from_photo[:, 2]
        yield LabelledPicture(
            name=f"{person.seed:06d}_{view:02d}",
            group=str(person.seed),
            image=np.clip(np.rint(image), 0, 255).astype(np.uint8),
            valid=crop.valid,
            labels=_regions(warp(labels, nearest=True)),
            alpha=alpha,
            foreground=crop.image,
            landmarks=places.astype(np.float32),
        )


def classes_of(labels: np.ndarray) -> np.ndarray:
    """The corpus' labels (H, W) as indices of `CLASSES`, (H, W) uint8: ears, neck, eyes and the like are skin."""
    return np.where(labels < len(CLASSES), labels, CLASSES.index("skin")).astype(np.uint8)


def _regions(labels: np.ndarray) -> np.ndarray:
    """The corpus' labels as regions are drawn: hair with the skin between its roots, thin rims whole."""
    classes = classes_of(labels)
    eyewear = np.uint8(CLASSES.index("eyewear"))
    smooth = cv2.medianBlur(np.where(classes == eyewear, np.uint8(CLASSES.index("skin")), classes), 5)
    return np.where(classes == eyewear, eyewear, smooth)
