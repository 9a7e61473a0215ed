"""From poses and settings to frames with keys: what is to be rendered, and what is done already."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
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
"""Frames that follow each other in one worker where each sees the one before; samples of frames with motion blur."""


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


class HeadTask(msgspec.Struct, frozen=True):
    """One head in one sample of one frame; `portrait` is the SHA-256 of the photo, `texture` of the texture or empty
    for the one that is made of the photo, `scale` makes the view's depth the scene's; see `COLUMNS` of pose files."""

    sample: int
    exposure: float
    name: str
    portrait: str
    texture: str
    maker: str
    head_model: str
    face: int
    camera: Camera
    scale: float
    mirrored: bool
    parameters: HeadParameters


class FrameTask(msgspec.Struct, frozen=True):
    """All that rendering one frame takes, the portraits aside."""

    shot: str
    frame: int
    key: str
    path: str
    width: int
    height: int
    quality: str
    noise_level: float
    heads: tuple[HeadTask, ...]
    thumbnail: bool
    write: bool = True


@dataclass(frozen=True, eq=False)
class Plan:
    """All frames of a job, in the order of the list.

    Attributes:
        shots: with their sizes.
        starts: the number of each shot's first frame among all frames, and the number of all.
        keys: per frame, the hash of everything that its picture depends on.
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
        return max(1, CHAIN // (1 + int(self.poses.columns["sample"].max(initial=0))))

    def shot_of(self, number: int) -> int:
        """The index of the shot that a frame belongs to."""
        return int(np.searchsorted(self.starts, number, "right")) - 1

    def quality(self, shot: Shot) -> str:
        """A shot's quality."""
        return shot.quality or self.settings.quality

    def path(self, number: int) -> str:
        """A frame's file below the output folder."""
        index = self.shot_of(number)
        shot = self.shots[index]
        frame = shot.first + number - int(self.starts[index])
        return frame_path(shot.output or self.settings.output, shot, frame)

    def task(self, number: int, write: bool = True) -> FrameTask:
        """Everything that a worker needs for a frame."""
        index = self.shot_of(number)
        shot = self.shots[index]
        frame = shot.first + number - int(self.starts[index])
        heads = []
        for row in _rows(self.poses, index, frame):
            which = int(self.poses.columns["head"][row])
            info = self.poses.header.heads[which]
            heads.append(
                HeadTask(
                    int(self.poses.columns["sample"][row]),
                    float(self.poses.columns["exposure"][row]),
                    info.name,
                    self.portraits[index][which],
                    self.textures[index][which],
                    info.maker,
                    info.head_model,
                    info.face,
                    self.poses.camera(row),
                    float(self.poses.columns["scale"][row]),
                    bool(self.poses.columns["mirrored"][row]),
                    self.poses.parameters(row),
                )
            )
        shown = {int(x) for x in np.linspace(0, len(shot.frames) - 1, THUMBNAILS).round()}
        return FrameTask(
            shot.name,
            frame,
            self.keys[number],
            self.path(number),
            shot.width,
            shot.height,
            self.quality(shot),
            self.settings.noise_level,
            tuple(heads),
            frame - shot.first in shown,
            write,
        )

    def batches(self, missing: Sequence[int], size: int) -> Iterator[list[FrameTask]]:
        """Missing frames as batches, built when asked for: `size` frames that are refined together.

        With `temporal` a batch is a chain of frames in order, of which those that exist are not written again.
        """
        if self.settings.temporal:
            wanted = set(missing)
            for chain in self.chains():
                due = [number for number in chain if number in wanted]
                if due:
                    yield [self.task(number, number in wanted) for number in chain if number <= due[-1]]
            return
        for start in range(0, len(missing), size):
            yield [self.task(number) for number in missing[start : start + size]]

    def chains(self) -> Iterator[range]:
        """Runs of frames that follow each other, within shots."""
        for start, stop in zip(self.starts[:-1], self.starts[1:], strict=True):
            for first in range(int(start), int(stop), self.chain):
                yield range(first, min(first + self.chain, int(stop)))


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
    starts = np.concatenate([[0], np.cumsum([len(shot.frames) for shot in shots])]).astype(np.int64)
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
    """The key of each frame of a shot, in order."""
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
        yield digest.hexdigest()


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
    """Which frames exist already, by key and with the size that they were written with, and which are missing."""
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
