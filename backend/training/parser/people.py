"""Exact labels of synthetic people, from the folders that `turboportrait data synthesize` wrote."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from scipy.ndimage import binary_fill_holes

from backend.people.synthesis.files import LABELS, read_person
from backend.tracking.parser_network import CLASSES
from backend.tracking.photo import crop_around
from backend.training.parser.pictures import FACE_HEIGHTS, SIZE, Picture


def label_person(folder: Path) -> Iterator[Picture]:
    """The views of a person as pictures.

    Raises:
        TurboPortraitError: `bad_corpus`: the folder is damaged.
    """
    person = read_person(folder)
    table = np.zeros(256, np.uint8)
    for name, number in LABELS.items():
        # The labels that are no class are parts of the skin.
        table[number] = CLASSES.index(name if name in CLASSES else "skin")
    for view, (rgba, labels, background, landmarks) in enumerate(
        zip(person.images, person.labels, person.backgrounds, person.landmarks, strict=True)
    ):
        crop = crop_around(rgba[..., :3], landmarks[:468], SIZE, FACE_HEIGHTS)
        matrix = crop.from_photo.copy()
        matrix[:, 2] += 0.5 * matrix[0, 0] - 0.5

        def warp(image: np.ndarray, nearest: bool = False, matrix: np.ndarray = matrix) -> np.ndarray:
            flags = cv2.INTER_NEAREST if nearest else cv2.INTER_LINEAR
            return cv2.warpAffine(image, matrix, (SIZE, SIZE), flags=flags, borderMode=cv2.BORDER_REPLICATE)

        alpha = warp(rgba[..., 3])
        cover = alpha[..., None] / np.float32(255)
        image = crop.image * cover + warp(background) * (1 - cover)
        places = landmarks @ crop.from_photo[:, :2].T + crop.from_photo[:, 2]
        yield Picture(
            name=f"{person.seed:06d}_{view:02d}",
            group=str(person.seed),
            image=np.clip(np.rint(image), 0, 255).astype(np.uint8),
            valid=crop.valid,
            labels=_regions(table[warp(labels, nearest=True)]),
            alpha=alpha,
            foreground=crop.image,
            landmarks=places.astype(np.float32),
        )


def _regions(labels: np.ndarray) -> np.ndarray:
    """What each pixel shows as regions are drawn: hair with the skin between its roots, glasses with their lenses."""
    eyewear = CLASSES.index("eyewear")
    frames = cv2.morphologyEx((labels == eyewear).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3)))
    regions = cv2.medianBlur(np.where(labels == eyewear, CLASSES.index("skin"), labels).astype(np.uint8), 5)
    return np.where(binary_fill_holes(frames), np.uint8(eyewear), regions)
