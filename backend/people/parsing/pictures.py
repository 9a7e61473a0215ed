"""A picture to learn from, on disk: what is seen and what each pixel is."""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from backend.protocol.errors import TurboPortraitError
from backend.protocol.files import npz_bytes, write_file

SIZE = 384
"""Pixels of a picture's sides."""
FACE_HEIGHTS = 3.2
"""A picture is so many face heights wide: more than the tracker's crop, so that crops can be turned and shifted."""
UNKNOWN = 255
"""The label of pixels that nothing is learnt from."""


@dataclass(frozen=True, eq=False)
class LabelledPicture:
    """One picture.

    Attributes:
        name: unique in its folder; `group`: all pictures of one person or portrait share it.
        image: (S, S, 3) uint8 sRGB.
        valid: (S, S) bool, inside the photo.
        labels: (S, S) uint8, the class of the visible surface, or `UNKNOWN`.
        alpha: (S, S) uint8, the person's matte.
        foreground: (S, S, 3) uint8, the person's own colour.
        landmarks: (478, 2) float32, pixels.
    """

    name: str
    group: str
    image: np.ndarray
    valid: np.ndarray
    labels: np.ndarray
    alpha: np.ndarray
    foreground: np.ndarray
    landmarks: np.ndarray


def write_picture(folder: Path, picture: LabelledPicture) -> None:
    """Write a picture whole or not at all.

    Raises:
        TurboPortraitError: disk_full, read_only, cannot_write.
    """
    arrays = {name: value for name, value in vars(picture).items() if isinstance(value, np.ndarray)}
    write_file(folder / f"{picture.name}.npz", npz_bytes(group=np.array(picture.group), **arrays))


def read_picture(path: Path) -> LabelledPicture:
    """Read and check a picture.

    Raises:
        TurboPortraitError: `bad_corpus`: it is damaged or of another layout.
    """
    shapes = {
        "image": (SIZE, SIZE, 3), "valid": (SIZE, SIZE), "labels": (SIZE, SIZE), "alpha": (SIZE, SIZE),
        "foreground": (SIZE, SIZE, 3), "landmarks": (478, 2),
    }  # fmt: skip
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in shapes}
            group = str(stored["group"])
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise TurboPortraitError("bad_corpus", f"{path}: {error}") from error
    for name, shape in shapes.items():
        if arrays[name].shape != shape:
            raise TurboPortraitError("bad_corpus", f"{path}: {name} is {arrays[name].shape} in place of {shape}")
    return LabelledPicture(path.stem, group, **arrays)


def read_pictures(folder: Path) -> list[LabelledPicture]:
    """All pictures of a folder, by name.

    Raises:
        TurboPortraitError: `bad_corpus`: there are none, or one is damaged.
    """
    paths = sorted(Path(folder).glob("*.npz"))
    if not paths:
        raise TurboPortraitError("bad_corpus", f"{folder} holds no pictures; see docs/training.md, The portrait parser")
    return [read_picture(path) for path in paths]
