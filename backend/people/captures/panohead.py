"""Folders in the layout of PanoHead and EG3D: pictures beside a `dataset.json` of 25 camera numbers each.

`{"labels": [["name.jpg", [25 numbers]], ...]}`: the camera-to-world matrix (16, OpenCV axes) and the intrinsics as
parts of the picture's side (9), as PanoHead's `dataset/testdata_img/dataset.json` and `recrop_images.py` have it; masks
lie in a sibling folder of the same name with `seg` for `img` (`testdata_seg/000134.png`).

PanoHead itself keeps one picture a person. Several views of one generated person, as the paper takes them, are told by
their names: a folder per person (`seed0001/00.png`), or a number after the last underscore (`seed0001_00.png`).
"""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np

from backend.people.captures.alignment import BESIDE, EYE_REACH
from backend.people.captures.files import matrix, picture_size, read_json, read_picture
from backend.people.captures.subject import Capture, CapturedPicture, SourceCamera, Unusable
from backend.people.captures.triangulation import EYE_DISTANCE

LABELS = "dataset.json"
UNIT = EYE_DISTANCE * 2 * EYE_REACH * (1 + 2 * BESIDE) / (2.7 / 4.2647)
"""Metres per unit of its space: the picture is 2.7 / 4.2647 units wide at the head, and FFHQ's square with PanoHead's
margins is so many eye distances wide."""


class PanoHead:
    """See the module; `folder` is the one with the pictures and their `dataset.json`."""

    name = "panohead"
    targets = 2

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        labels = read_json(folder / LABELS)
        entries = labels.get("labels") if isinstance(labels, dict) else None
        if not isinstance(entries, list):
            raise Unusable(f"{LABELS} has no list of labels")
        self._people: dict[str, list[tuple[str, object]]] = defaultdict(list)
        self.ignored: list[str] = []
        for entry in entries:
            name = entry[0] if isinstance(entry, list) and len(entry) == 2 else None
            if not isinstance(name, str) or PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
                self.ignored.append(f"{LABELS}: {str(entry)[:60]} is no label of a picture")
            else:
                self._people[_person(name)].append((name, entry[1]))

    @staticmethod
    def found_in(folder: Path) -> bool:
        return (folder / LABELS).is_file()

    def identities(self) -> list[str]:
        return sorted(self._people)

    def captures(self, identity: str) -> list[Capture]:
        pictures, notes = [], []
        for name, numbers in sorted(self._people[identity], key=lambda pair: pair[0]):
            try:
                pictures.append(self._picture(name, numbers))
            except Unusable as reason:
                notes.append(str(reason))
        return [Capture(self.name, identity, "0", tuple(pictures), notes=tuple(notes))]

    def _picture(self, name: str, numbers: object) -> CapturedPicture:
        if "mirror" in PurePosixPath(name).stem:
            raise Unusable(f"{name} is a mirrored copy")
        label = matrix(numbers, 25, what=f"the label of {name}")
        path = self.folder / name
        width, height = picture_size(path)
        to_world = label[:16].reshape(4, 4)
        if not np.allclose(to_world[:3, :3] @ to_world[:3, :3].T, np.eye(3), atol=1e-3):
            raise Unusable(f"the label of {name} is no rotation")
        to_world[:3, 3] *= UNIT
        K = np.diag([width, height, 1.0]) @ label[16:].reshape(3, 3)
        mask = self.folder.with_name(self.folder.name.replace("img", "seg")) / Path(name).with_suffix(".png")
        has_mask = mask.is_file() and mask != path
        return CapturedPicture(
            name,
            SourceCamera(K, np.linalg.inv(to_world), width, height),
            partial(read_picture, path),
            partial(_read_mask, mask) if has_mask else None,
        )


def _read_mask(path: Path) -> np.ndarray:
    return np.where(read_picture(path, labels=True) > 0, np.uint8(255), np.uint8(0))


def _person(name: str) -> str:
    path = PurePosixPath(name)
    if len(path.parts) > 1:
        return str(path.parent)
    stem, underscore, number = path.stem.removesuffix("_mirror").rpartition("_")
    return stem if underscore and number.isdigit() else path.stem.removesuffix("_mirror")
