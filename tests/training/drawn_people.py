"""Drawn people for the parser: a head, hair, a shirt, so plain that a few steps learn something."""

import numpy as np

from backend.people.parsing.pictures import SIZE, LabelledPicture, write_picture
from backend.tracking.landmarks import FACE_OVAL
from backend.tracking.parser import CLASSES

COLOURS = {"background": (90, 140, 90), "skin": (220, 170, 140), "hair": (60, 40, 20), "clothing": (40, 60, 160)}


def drawn_person(name: str, group: str, seed: int) -> LabelledPicture:
    """A person whose every pixel is known."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIZE, :SIZE] / SIZE
    middle = 0.5 + rng.uniform(-0.03, 0.03)
    labels = np.zeros((SIZE, SIZE), np.uint8)
    labels[(np.abs(x - middle) < 0.3) & (y > 0.72)] = CLASSES.index("clothing")
    labels[((x - middle) / 0.16) ** 2 + ((y - 0.43) / 0.22) ** 2 < 1] = CLASSES.index("hair")
    labels[((x - middle) / 0.13) ** 2 + ((y - 0.5) / 0.19) ** 2 < 1] = CLASSES.index("skin")
    foreground = np.zeros((SIZE, SIZE, 3), np.uint8)
    for colour in COLOURS:
        foreground[labels == CLASSES.index(colour)] = np.clip(COLOURS[colour] + rng.normal(0, 15, 3), 0, 255)
    landmarks = np.full((478, 2), SIZE / 2, np.float32)
    angle = np.linspace(0, 2 * np.pi, len(FACE_OVAL), endpoint=False)
    landmarks[list(FACE_OVAL)] = SIZE * (np.c_[0.13 * np.sin(angle), -0.16 * np.cos(angle)] + [middle, 0.5])
    for corner, place in {33: -0.08, 133: -0.03, 362: 0.03, 263: 0.08, 127: -0.12, 356: 0.12}.items():
        landmarks[corner] = SIZE * (middle + place), 0.45 * SIZE
    return LabelledPicture(
        name, group, foreground, np.ones((SIZE, SIZE), bool), labels, np.where(labels > 0, 255, 0).astype(np.uint8),
        foreground, landmarks,
    )  # fmt: skip


def write_corpus(folder, people: int = 8, portraits: int = 5) -> None:
    """People 0, 1, ... (every eighth held out) and portraits a, b, ..."""
    for number in range(people):
        write_picture(folder / "people", drawn_person(f"{number:06d}_00", str(number), number))
    for number in range(portraits):
        name = "abcdefgh"[number]
        write_picture(folder / "portraits", drawn_person(name, name, 100 + number))
