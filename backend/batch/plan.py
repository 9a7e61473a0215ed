"""From poses and settings to frames with keys: what is to be rendered, and what is done already."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import msgspec
import numpy as np

from backend.batch.checksums import head_model_checksum, preset_checksum, software_version
from backend.batch.patterns import frame_path
from backend.batch.records import OutputRecord
from backend.protocol.camera import Camera
from backend.protocol.head_parameters import HeadParameters
from backend.protocol.pose_file import COLUMNS, PoseFile
from backend.protocol.shots import DEFAULT_OUTPUT, RAW, Shot

THUMBNAILS = 8
"""Frames per shot on the contact sheet."""
CHAIN = 24
"""Pictures that follow each other in one worker where each sees the one before: views, and samples of motion blur."""


class BatchSettings(msgspec.Struct, frozen=True):
    """What holds for all shots of a job unless a shot says otherwise.

    Attributes:
        quality: "raw" or a refiner preset.
        noise_level: how far the refiner may leave the raw view.
        output: pattern of the files.
        temporal: each frame is refined with the one before, warped, as an extra reference.
    """

    quality: str = "compact"
    noise_level: float = 0.1
    output: str = DEFAULT_OUTPUT
    temporal: bool = False


class ViewTask(msgspec.Struct, frozen=True):
    """What one view sees of a head; `scale` makes the view's depth the scene's; see `COLUMNS` of pose files."""

    camera: Camera
    scale: float
    mirrored: bool


class HeadTask(msgspec.Struct, frozen=True):
    """One head in one sample of one frame, seen by all of its views; `portrait` is the SHA-256 of the photo, `texture`
    of the texture or empty for the one that is made of the photo."""

    sample: int
    exposure: float
    name: str
    portrait: str
    texture: str
    maker: str
    head_model: str
    face: int
    views: tuple[ViewTask, ...]
    parameters: HeadParameters


class PictureTask(msgspec.Struct, frozen=True):
    """A frame's picture in one view; it is refined with the others also where it is not to be written."""

    view: str
    key: str
    path: str
    thumbnail: bool
    write: bool = True


class FrameTask(msgspec.Struct, frozen=True):
    """All that rendering one frame takes, the portraits aside; its pictures, one per view, are refined together."""

    shot: str
    frame: int
    width: int
    height: int
    quality: str
    noise_level: float
    heads: tuple[HeadTask, ...]
    pictures: tuple[PictureTask, ...]

    @property
    def written(self) -> list[PictureTask]:
        """The pictures that are files in the end."""
        return [picture for picture in self.pictures if picture.write]


@dataclass(frozen=True, eq=False)
class Plan:
    """All pictures of a job, in the order of the list: of each shot its frames, of each frame its views.

    Attributes:
        shots: with their sizes.
        starts: the number of each shot's first picture among all pictures, and the number of all.
        keys: per picture, the hash of everything that it depends on.
        portraits, textures: per shot and head, the SHA-256 of its photo and of its texture.
        photos: SHA-256 -> bytes, the poses' and those that shots name.
    """

    settings: BatchSettings
    poses: PoseFile
    shots: tuple[Shot, ...]
    starts: np.ndarray
    keys: list[str]
    portraits: list[list[str]]
    textures: list[list[str]]
    photos: dict[str, bytes]

    def __len__(self) -> int:
        return len(self.keys)

    @cached_property
    def chain(self) -> int:
        """Frames of a chain."""
        return max(1, CHAIN // (self.views * (1 + int(self.poses.columns["sample"].max(initial=0)))))

    @property
    def views(self) -> int:
        """Pictures of a frame."""
        return len(self.poses.header.views)

    def shot_of(self, number: int) -> int:
        """The index of the shot that a picture belongs to."""
        return int(np.searchsorted(self.starts, number, "right")) - 1

    def quality(self, shot: Shot) -> str:
        """A shot's quality."""
        return shot.quality or self.settings.quality

    def path(self, number: int) -> str:
        """A picture's file below the output folder."""
        index = self.shot_of(number)
        shot = self.shots[index]
        frame, view = divmod(number - int(self.starts[index]), self.views)
        suffix = self.poses.header.views[view].suffix
        return frame_path(shot.output or self.settings.output, shot, shot.first + frame, suffix)

    def task(self, number: int, wanted: Collection[int] | None = None) -> FrameTask:
        """Everything that a worker needs for the frame whose first picture has this number.

        Args:
            wanted: the pictures that are written; None for all.
        """
        index = self.shot_of(number)
        shot = self.shots[index]
        frame = shot.first + (number - int(self.starts[index])) // self.views
        columns = self.poses.columns
        heads = []
        for row in _rows(self.poses, index, frame):
            which = int(columns["head"][row])
            scales, mirrored = columns["scale"][row].tolist(), columns["mirrored"][row].tolist()
            info = self.poses.header.heads[which]
            heads.append(
                HeadTask(
                    int(columns["sample"][row]),
                    float(columns["exposure"][row]),
                    info.name,
                    self.portraits[index][which],
                    self.textures[index][which],
                    info.maker,
                    info.head_model,
                    info.face,
                    tuple(
                        ViewTask(self.poses.camera(row, view), scales[view], bool(mirrored[view]))
                        for view in range(self.views)
                    ),
                    self.poses.parameters(row),
                )
            )
        shown = frame - shot.first in {int(x) for x in np.linspace(0, len(shot.frames) - 1, THUMBNAILS).round()}
        pictures = tuple(
            PictureTask(view.name, self.keys[each], self.path(each), shown, wanted is None or each in wanted)
            for each, view in enumerate(self.poses.header.views, number)
        )
        quality, noise_level = self.quality(shot), self.settings.noise_level
        return FrameTask(shot.name, frame, shot.width, shot.height, quality, noise_level, tuple(heads), pictures)

    def batches(self, missing: Sequence[int], size: int) -> Iterator[list[FrameTask]]:
        """Frames with missing pictures as batches, built when asked for: `size` frames that are refined together.

        With `temporal` a batch is a chain of frames in order. Pictures that exist are not written again.
        """
        wanted = set(missing)
        due = list(dict.fromkeys(number - number % self.views for number in missing))
        if self.settings.temporal:
            frames = set(due)
            for chain in self.chains():
                reached = [number for number in chain if number in frames]
                if reached:
                    yield [self.task(number, wanted) for number in chain if number <= reached[-1]]
            return
        for start in range(0, len(due), size):
            yield [self.task(number, wanted) for number in due[start : start + size]]

    def chains(self) -> Iterator[range]:
        """Runs of frames that follow each other, within shots; the numbers of their first pictures."""
        pictures = self.chain * self.views
        for start, stop in zip(self.starts[:-1], self.starts[1:], strict=True):
            for first in range(int(start), int(stop), pictures):
                yield range(first, min(first + pictures, int(stop)), self.views)


def make_plan(poses: PoseFile, settings: BatchSettings, photos: Mapping[str, str], extra: Mapping[str, bytes]) -> Plan:
    """Plan all frames of the poses' shots.

    Args:
        photos: shot name -> SHA-256 of the photo that it names.
        extra: SHA-256 -> bytes of these photos.
    """
    shots = poses.header.shots
    portraits = [
        [
            photos[shot.name] if shot.name in photos and shot.avatar in ("", head.name) else head.portrait_sha256
            for head in poses.header.heads
        ]
        for shot in shots
    ]
    pictures = [len(shot.frames) * len(poses.header.views) for shot in shots]
    starts = np.concatenate([[0], np.cumsum(pictures)]).astype(np.int64)
    every = {**poses.portraits, **extra}
    # A texture is of one photo: a shot's own photo gets the one that is made of it.
    textures = [
        [head.texture_sha256 if portrait == head.portrait_sha256 else "" for head, portrait in pairs]
        for pairs in (zip(poses.header.heads, of_shot, strict=True) for of_shot in portraits)
    ]
    plan = Plan(settings, poses, shots, starts, [], portraits, textures, every)
    for index, shot in enumerate(shots):
        plan.keys.extend(_keys(plan, index, shot))
    return plan


def _keys(plan: Plan, index: int, shot: Shot) -> Iterator[str]:
    """The key of each picture of a shot, in order; the views of a frame, refined together, differ by their suffix."""
    poses, settings = plan.poses, plan.settings
    quality = plan.quality(shot)
    common = {
        "software": software_version(),
        "quality": quality,
        "preset": preset_checksum(quality),
        "noise_level": settings.noise_level if quality != RAW else 0,
        "temporal": settings.temporal and quality != RAW,
        "size": [shot.width, shot.height],
        "format": (shot.output or settings.output).rpartition(".")[2],
        "heads": [
            [
                head.name,
                head.maker,
                head.head_model,
                head_model_checksum(head.head_model),
                portrait,
                texture,
                head.face,
                head.expressions,
            ]
            for head, portrait, texture in zip(
                poses.header.heads, plan.portraits[index], plan.textures[index], strict=True
            )
        ],
    }
    base = hashlib.sha256(json.dumps(common, sort_keys=True).encode())
    before = b""
    for position, frame in enumerate(shot.frames):
        digest = base.copy()
        for row in _rows(poses, index, frame):
            digest.update(_row_bytes(poses, row))
        if common["temporal"]:
            # What the frame before looks like is part of what this one looks like.
            digest.update(before if position % plan.chain else b"start")
            before = digest.digest()
        for view in poses.header.views:
            picture = digest.copy()
            picture.update(view.suffix.encode())
            yield picture.hexdigest()


def _row_bytes(poses: PoseFile, row: int) -> bytes:
    return b"".join(poses.columns[name][row].tobytes() for name in COLUMNS if name not in ("shot", "frame"))


def _rows(poses: PoseFile, shot: int, frame: int) -> range:
    """The rows of one frame of one shot."""
    column = poses.columns["shot"]
    start, stop = np.searchsorted(column, shot, "left"), np.searchsorted(column, shot, "right")
    frames = poses.columns["frame"][start:stop]
    low, high = np.searchsorted(frames, frame, "left"), np.searchsorted(frames, frame, "right")
    return range(int(start + low), int(start + high))


def split_done(plan: Plan, records: Mapping[str, OutputRecord], output: Path) -> tuple[list[OutputRecord], list[int]]:
    """Which pictures exist already, by key and with the size that they were written with, and which are missing."""
    kept, missing = [], []
    for number, key in enumerate(plan.keys):
        record = records.get(f"{key} {plan.path(number)}")
        if record is not None and is_there(record, output):
            kept.append(record)
        else:
            missing.append(number)
    return kept, missing


def is_there(record: OutputRecord | None, output: Path) -> bool:
    """A record's file exists with the size that it was written with."""
    if record is None or record.code:
        return False
    try:
        return (output / record.path).stat().st_size == record.bytes
    except OSError:
        return False
