"""Ava-256 (Martinez et al. 2024): a folder per capture, a zip of frames per camera.

`20230405--1635--AAN112/decoder/` holds `camera_calibration.json`, `frame_list.csv` (columns `seg_id`, `frame_id`),
`image/cam400940.zip` with `cam400940/000123.avif`, and `segmentation_parts/cam400940.zip` with
`cam400940/000123.png` (repository facebookresearch/ava-256: `download.py`, `data/ava_dataset.py`, `DATASHEET.md`).

In the calibration each camera has `cameraId`, `K` and `T`, both written column by column (so transposed), OpenCV
axes, millimetres, and `distortion` (k1, k2, p1, p2). They are those of pictures 2668 wide and 4096 high; the released
ones are a half or a quarter of that.
"""

from __future__ import annotations

import csv
import io
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from backend.people.captures.files import decode, matrix, read_json, read_member
from backend.people.captures.source import choose_moments
from backend.people.captures.subject import Capture, CapturedPicture, SourceCamera, Unusable
from backend.photos.formats import DATA_FORMATS

FULL_WIDTH, FULL_HEIGHT = 2668, 4096
MILLIMETRE = 1e-3
BACKGROUND, CHAIR, APPAREL = 0, 3, 4
"""Values of the segmentation; the others are hair, body and parts of the face."""
MOST_LIST_BYTES = 16 * 2**20
CALIBRATION, FRAMES = "camera_calibration.json", "frame_list.csv"


class Ava256:
    """See the module; `folder` is the one with a folder per capture."""

    name = "ava256"
    targets = 16

    def __init__(self, folder: Path) -> None:
        self._captures: dict[str, list[Path]] = {}
        for path in sorted(folder.glob("*--*--*")):
            if (path / "decoder").is_dir():
                # The subject is the person: another day's capture of the same one is no other identity.
                self._captures.setdefault(path.name.split("--")[2].upper(), []).append(path / "decoder")

    @staticmethod
    def found_in(folder: Path) -> bool:
        return any((path / "decoder").is_dir() for path in folder.glob("*--*--*"))

    def identities(self) -> list[str]:
        return sorted(self._captures)

    def captures(self, identity: str) -> list[Capture]:
        moments, reasons = [], []
        for decoder in self._captures[identity]:
            try:
                moments += [(decoder, *entry) for entry in _frames(decoder / FRAMES)]
            except Unusable as reason:
                reasons.append(str(reason))
        if not moments:
            raise Unusable("; ".join(reasons) or f"{FRAMES} lists no frames")
        return [_capture(identity, *moment) for moment in choose_moments(self.name, identity, moments)]


def _frames(path: Path) -> list[tuple[str, int]]:
    """Segments and frame numbers."""
    try:
        if path.stat().st_size > MOST_LIST_BYTES:
            raise Unusable(f"{path.name} is larger than {MOST_LIST_BYTES >> 20} MiB")
        rows = list(csv.DictReader(io.StringIO(path.read_text())))
        return [(row["seg_id"], int(row["frame_id"])) for row in rows]
    except FileNotFoundError:
        raise Unusable(f"{path.name} is missing") from None
    except (OSError, KeyError, TypeError, ValueError, csv.Error) as error:
        raise Unusable(f"{path.name} cannot be read: {error}") from error


def _capture(identity: str, decoder: Path, segment: str, frame: int) -> Capture:
    calibration = read_json(decoder / CALIBRATION)
    entries = calibration.get("KRT") if isinstance(calibration, dict) else None
    if not isinstance(entries, list):
        raise Unusable(f"{CALIBRATION} has no cameras")
    known = {str(entry.get("cameraId")): entry for entry in entries if isinstance(entry, dict)}
    pictures, notes = [], []
    for archive in sorted((decoder / "image").glob("cam*.zip")):
        name = archive.stem.removeprefix("cam")
        try:
            if name not in known:
                raise Unusable(f"{CALIBRATION} does not know this camera")
            pictures.append(_picture(archive, known[name], frame))
        except Unusable as reason:
            notes.append(f"{segment} camera {name}: {reason}")
    return Capture("ava256", identity, f"{segment}/{frame:06d}", tuple(pictures), notes=tuple(notes))


def _picture(archive: Path, entry: dict, frame: int) -> CapturedPicture:
    member = f"{archive.stem}/{frame:06d}.avif"
    width, height = _size(archive, member)
    K = matrix(entry.get("K"), 3, 3, what="K").T
    pose = matrix(entry.get("T"), 4, 4, what="T").T
    pose[:3, 3] *= MILLIMETRE
    distortion = tuple(matrix(entry.get("distortion"), 4, what="distortion"))
    K = K + np.array([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])
    camera = SourceCamera(K, pose, FULL_WIDTH, FULL_HEIGHT, distortion).resized(width, height)
    parts = archive.parents[1] / "segmentation_parts" / archive.name
    label = f"{archive.stem}/{frame:06d}.png"
    read = partial(_read, archive, member)
    if not parts.is_file():
        return CapturedPicture(archive.stem, camera, read)
    return CapturedPicture(archive.stem, camera, read, partial(_mask, parts, label, (BACKGROUND, CHAIR)),
                   partial(_mask, parts, label, (BACKGROUND, CHAIR, APPAREL)))  # fmt: skip


def _size(archive: Path, member: str) -> tuple[int, int]:
    try:
        with Image.open(io.BytesIO(read_member(archive, member)), formats=DATA_FORMATS) as picture:
            return picture.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise Unusable(f"{member} is damaged: {error}") from error


def _read(archive: Path, member: str) -> np.ndarray:
    return decode(read_member(archive, member), member)


def _mask(archive: Path, member: str, without: tuple[int, ...]) -> np.ndarray:
    labels = decode(read_member(archive, member), member, labels=True)
    return np.where(np.isin(labels, without), np.uint8(0), np.uint8(255))
