"""One worker's work: batches of frames in, files and records out. Runs in any process; Ray is not needed."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import socket
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np

from backend.batch.checksums import preset_checksum, software_version
from backend.batch.images import write_picture
from backend.batch.job import PARTS, RECORDS, THUMBNAILS
from backend.batch.layers import FramePicture, expose, stack
from backend.batch.metadata import SYNTHETIC
from backend.batch.patterns import SUFFIXES, output_file
from backend.batch.plan import FrameTask, HeadTask, PictureTask
from backend.batch.records import OutputRecord, RecordFile
from backend.pipeline import Pipeline, Registration
from backend.pipeline.view_sets import ViewSet
from backend.protocol.errors import TurboPortraitError, describe
from backend.protocol.files import write_file
from backend.protocol.pictures import bytes_over_grey
from backend.protocol.shots import RAW
from backend.protocol.validation import check_camera, check_parameters
from backend.refiner.runtime.refining import Unrefined

log = logging.getLogger(__name__)

THUMBNAIL_SIDE = 192


class FrameRenderer:
    """Renders batches of frames with one pipeline.

    Args:
        pipeline: what renders; its avatars are registered as frames need them.
        output: the folder below which frames are written.
        job: the job's own folder, for records and thumbnails.
        photos: SHA-256 -> bytes.
        textures: SHA-256 -> (H, W, 4) uint8.
    """

    def __init__(
        self, pipeline: Pipeline, output: Path, job: Path, photos: dict[str, bytes], textures: dict[str, np.ndarray]
    ) -> None:
        self.pipeline = pipeline
        self.output = output
        self.job = job
        self.photos, self.textures = photos, textures
        self.name = f"{socket.gethostname()}:{os.getpid()}"
        self._records = RecordFile(job / RECORDS)
        self._unusable: dict[tuple[str, str, str, str, int], TurboPortraitError] = {}

    def render(self, tasks: Sequence[FrameTask], temporal: bool = False) -> list[OutputRecord]:
        """Render frames together and write them; a frame that fails is a record that says why.

        Args:
            temporal: the frames are a chain: each is refined with the one before.
        """
        records: list[OutputRecord] = []
        view_sets: dict[int, list[ViewSet]] = {}
        seconds: dict[int, dict[str, float]] = {}
        # Registering takes seconds once: not to be counted as one frame's own.
        for head in {_identity(head): head for task in tasks for head in task.heads}.values():
            with contextlib.suppress(Exception):
                self._registration(head)
        for number, task in enumerate(tasks):
            started = time.perf_counter()
            try:
                view_sets[number] = [self._view_set(head) for head in task.heads]
            except Exception as error:
                records += self._failures(task, error)
            seconds[number] = {"raw": (time.perf_counter() - started) / len(task.pictures)}
        for number, frames in self._refine(tasks, view_sets, seconds, records, temporal).items():
            records += self._finish(tasks[number], view_sets[number], frames, seconds[number])
        try:
            self._records.add(records)
        except TurboPortraitError as error:
            # What is not recorded counts as not done.
            return [record if record.code else record.failed(error) for record in records]
        return records

    def _view_set(self, head: HeadTask) -> ViewSet:
        cameras = tuple(view.camera for view in head.views)
        for camera in cameras:
            check_camera(camera)
        check_parameters(head.parameters)
        registration = self._registration(head)
        raw = self.pipeline.render_raw(registration, cameras, head.parameters)
        return ViewSet(registration, cameras, head.parameters, tuple(raw))

    def _registration(self, head: HeadTask) -> Registration:
        """The head's avatar, made at the first time; a portrait that fails is not tried again."""
        who = _identity(head)
        if who in self._unusable:
            raise self._unusable[who]
        try:
            texture = self.textures[head.texture] if head.texture else None
            return self.pipeline.register(
                self.photos[head.portrait], head.maker, head.head_model, lambda *_: None, texture, head.face
            )
        except Exception as error:
            self._unusable[who] = describe(error)
            raise

    def _refine(
        self,
        tasks: Sequence[FrameTask],
        view_sets: dict[int, list[ViewSet]],
        seconds: dict[int, dict[str, float]],
        records: list[OutputRecord],
        temporal: bool,
    ) -> dict[int, list[list[np.ndarray]]]:
        """Per frame and head a picture per view. What fails together is tried one by one, so that one bad frame fails
        alone."""
        frames: dict[int, list[list[np.ndarray]]] = {}
        settings = {number: (tasks[number].quality, tasks[number].noise_level) for number in view_sets}
        for quality, noise_level in dict.fromkeys(settings.values()):
            group = [number for number, its in settings.items() if its == (quality, noise_level)]
            if quality == RAW:
                for number in group:
                    frames[number] = [[view.rgba for view in view_set.raw] for view_set in view_sets[number]]
                continue
            try:
                frames |= self._refined(group, tasks, view_sets, seconds, temporal)
            except Exception:
                for number in group:
                    try:
                        frames |= self._refined([number], tasks, view_sets, seconds, temporal)
                    except Exception as error:
                        records += self._failures(tasks[number], error)
        return frames

    def _refined(
        self,
        numbers: list[int],
        tasks: Sequence[FrameTask],
        view_sets: dict[int, list[ViewSet]],
        seconds: dict[int, dict[str, float]],
        temporal: bool,
    ) -> dict[int, list[list[np.ndarray]]]:
        started = time.perf_counter()
        first = tasks[numbers[0]]
        flat = [view_set for number in numbers for view_set in view_sets[number]]
        refine = self.pipeline.refine_sequence if temporal else self.pipeline.refine_view_sets
        refined = iter(refine(flat, first.quality, first.noise_level, _no_raw_views))
        share = (time.perf_counter() - started) / sum(len(tasks[number].pictures) for number in numbers)
        for number in numbers:
            seconds[number]["refine"] = share
        return {number: [next(refined) for _ in view_sets[number]] for number in numbers}

    def _finish(
        self, task: FrameTask, view_sets: list[ViewSet], frames: list[list[np.ndarray]], seconds: dict[str, float]
    ) -> list[OutputRecord]:
        """Write what is to be written of a frame's pictures."""
        records = []
        for view, wanted in enumerate(task.pictures):
            if not wanted.write:
                continue
            record = OutputRecord(wanted.key, task.shot, task.frame, wanted.path, worker=self.name)
            started = time.perf_counter()
            try:
                picture = _picture(task, view, view_sets, frames)
                file = output_file(self.output, wanted.path, SUFFIXES)
                size = write_picture(file, picture, self._metadata(task, wanted, view_sets), self.job / PARTS)
                if wanted.thumbnail:
                    write_file(thumbnail_path(self.job, wanted.key), _thumbnail(picture), self.job / PARTS)
            except Exception as error:
                records.append(record.failed(error))
                continue
            stages = seconds | {"write": time.perf_counter() - started}
            rounded = {stage: round(value, 4) for stage, value in stages.items()}
            records.append(msgspec.structs.replace(record, bytes=size, seconds=rounded))
        return records

    def _failures(self, task: FrameTask, error: Exception) -> list[OutputRecord]:
        """A record per picture that was to be written."""
        return [
            OutputRecord(picture.key, task.shot, task.frame, picture.path, worker=self.name).failed(error)
            for picture in task.written
        ]

    def _metadata(self, task: FrameTask, picture: PictureTask, view_sets: list[ViewSet]) -> dict:
        version = software_version()
        return {
            "shot": task.shot,
            "frame": task.frame,
            "view": picture.view,
            "quality": task.quality,
            "noise_level": task.noise_level if task.quality != RAW else None,
            "refiner_sha256": preset_checksum(task.quality),
            "heads": [
                {
                    "name": head.name,
                    "maker": head.maker,
                    "avatar": view_set.registration.avatar.id,
                    "head_model": head.head_model,
                    "head_model_sha256": view_set.registration.head_model_checksum,
                    "portrait_sha256": head.portrait,
                    "seed": view_set.registration.seed,
                }
                for head, view_set in {
                    head.name: (head, view_set) for head, view_set in zip(task.heads, view_sets, strict=True)
                }.values()
            ],
            "software": f"TurboPortrait3D {version}",
            "key": picture.key,
            "synthetic": True,
            "digital_source_type": SYNTHETIC,
        }


def _picture(task: FrameTask, view: int, view_sets: list[ViewSet], frames: list[list[np.ndarray]]) -> FramePicture:
    """A frame (H, W, 4) uint8 per head, sample and view as the picture that they make of one of the views."""
    samples: dict[int, list[tuple[HeadTask, np.ndarray, np.ndarray]]] = {}
    for head, view_set, of_views in zip(task.heads, view_sets, frames, strict=True):
        seen, frame = head.views[view], of_views[view]
        depth = view_set.raw[view].depth * np.float32(seen.scale)
        if seen.mirrored:
            frame, depth = frame[:, ::-1].copy(), depth[:, ::-1]
        samples.setdefault(head.sample, []).append((head, frame, depth))
    pictures = []
    for layers in samples.values():
        heads, colors, depths = zip(*layers, strict=True)
        picture = stack([head.name for head in heads], colors, depths, task.width, task.height)
        pictures.append((picture, heads[0].exposure))
    return expose(pictures or [(stack([], [], [], task.width, task.height), 1.0)])


def _no_raw_views(sentence: str) -> None:
    """A preview shows a raw view and says so; a finished frame must not pass for refined."""
    if isinstance(sentence, Unrefined):
        raise TurboPortraitError("not_refined", sentence)
    log.warning(sentence)


def thumbnail_path(job: Path, key: str) -> Path:
    """Where a frame's small picture is."""
    return job / THUMBNAILS / f"{key[:32]}.jpg"


def _thumbnail(picture: FramePicture) -> bytes:
    """A small JPEG over grey, for the contact sheet."""
    from PIL import Image

    image = Image.fromarray(bytes_over_grey(picture.rgba))
    image.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


MakePipeline = Callable[[], Pipeline]
"""Makes a worker's pipeline, in the worker's process."""


def default_pipeline() -> Pipeline:
    """A worker's pipeline with all that is installed."""
    return Pipeline()


def _identity(head: HeadTask) -> tuple[str, str, str, str, int]:
    """What makes its avatar another than that of other heads."""
    return head.portrait, head.maker, head.head_model, head.texture, head.face
