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

import numpy as np

from backend.batch.checksums import preset_checksum, software_version
from backend.batch.images import write_picture
from backend.batch.job import PARTS, RECORDS, THUMBNAILS
from backend.batch.layers import FramePicture, expose, stack
from backend.batch.metadata import SYNTHETIC
from backend.batch.patterns import SUFFIXES, output_file
from backend.batch.plan import FrameTask, HeadTask
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
        view_sets: dict[str, list[tuple[HeadTask, ViewSet]]] = {}
        seconds: dict[str, dict[str, float]] = {}
        # Registering takes seconds once: not to be counted as one frame's own.
        for head in {_identity(head): head for task in tasks for head in task.heads}.values():
            with contextlib.suppress(Exception):
                self._registration(head)
        for task in tasks:
            started = time.perf_counter()
            try:
                view_sets[task.key + task.path] = [(head, self._view_set(head)) for head in task.heads]
            except Exception as error:
                records.append(self._failure(task, error))
            seconds[task.key + task.path] = {"raw": time.perf_counter() - started}
        good = [task for task in tasks if task.key + task.path in view_sets]
        frames = self._refine(good, view_sets, seconds, records, temporal)
        for task in good:
            name = task.key + task.path
            if name in frames and task.write:
                records.append(self._finish(task, view_sets[name], frames[name], seconds[name]))
        records = [record for record in records if any(t.write and t.path == record.path for t in tasks)]
        try:
            self._records.add(records)
        except TurboPortraitError as error:
            # What is not recorded counts as not done.
            by_path = {task.path: task for task in tasks}
            return [record if record.code else self._failure(by_path[record.path], error) for record in records]
        return records

    def _view_set(self, head: HeadTask) -> ViewSet:
        check_camera(head.camera)
        check_parameters(head.parameters)
        registration = self._registration(head)
        raw = self.pipeline.render_raw(registration, [head.camera], head.parameters)
        return ViewSet(registration, (head.camera,), head.parameters, tuple(raw))

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
        tasks: list[FrameTask],
        view_sets: dict[str, list[tuple[HeadTask, ViewSet]]],
        seconds: dict[str, dict[str, float]],
        records: list[OutputRecord],
        temporal: bool,
    ) -> dict[str, list[np.ndarray]]:
        """Per frame a picture per head. What fails together is tried one by one, so that one bad frame fails alone."""
        frames: dict[str, list[np.ndarray]] = {}
        for quality, noise_level in dict.fromkeys((task.quality, task.noise_level) for task in tasks):
            group = [task for task in tasks if (task.quality, task.noise_level) == (quality, noise_level)]
            if quality == RAW:
                for task in group:
                    name = task.key + task.path
                    frames[name] = [view_set.raw[0].rgba for _, view_set in view_sets[name]]
                continue
            try:
                frames |= self._refined(group, view_sets, seconds, temporal)
            except Exception:
                for task in group:
                    try:
                        frames |= self._refined([task], view_sets, seconds, temporal)
                    except Exception as error:
                        records.append(self._failure(task, error))
        return frames

    def _refined(self, tasks, view_sets, seconds, temporal) -> dict[str, list[np.ndarray]]:
        started = time.perf_counter()
        flat = [view_set for task in tasks for _, view_set in view_sets[task.key + task.path]]
        refine = self.pipeline.refine_sequence if temporal else self.pipeline.refine_view_sets
        refined = iter(refine(flat, tasks[0].quality, tasks[0].noise_level, _no_raw_views))
        share = (time.perf_counter() - started) / len(tasks)
        frames = {}
        for task in tasks:
            name = task.key + task.path
            seconds[name]["refine"] = share
            frames[name] = [next(refined)[0] for _ in view_sets[name]]
        return frames

    def _finish(
        self,
        task: FrameTask,
        view_sets: list[tuple[HeadTask, ViewSet]],
        frames: list[np.ndarray],
        seconds: dict[str, float],
    ) -> OutputRecord:
        started = time.perf_counter()
        try:
            picture = _picture(task, view_sets, frames)
            file = output_file(self.output, task.path, SUFFIXES)
            size = write_picture(file, picture, self._metadata(task, view_sets), self.job / PARTS)
            if task.thumbnail:
                write_file(thumbnail_path(self.job, task.key), _thumbnail(picture), self.job / PARTS)
        except Exception as error:
            return self._failure(task, error)
        seconds["write"] = time.perf_counter() - started
        rounded = {stage: round(value, 4) for stage, value in seconds.items()}
        return OutputRecord(task.key, task.shot, task.frame, task.path, size, rounded, self.name)

    def _metadata(self, task: FrameTask, view_sets: list[tuple[HeadTask, ViewSet]]) -> dict:
        version = software_version()
        return {
            "shot": task.shot,
            "frame": task.frame,
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
                for head, view_set in {head.name: (head, view_set) for head, view_set in view_sets}.values()
            ],
            "software": f"TurboPortrait3D {version}",
            "key": task.key,
            "synthetic": True,
            "digital_source_type": SYNTHETIC,
        }

    def _failure(self, task: FrameTask, error: Exception) -> OutputRecord:
        shown = describe(error)
        return OutputRecord(
            task.key, task.shot, task.frame, task.path, worker=self.name, code=shown.code, sentence=shown.sentence
        )


def _picture(task: FrameTask, view_sets: list[tuple[HeadTask, ViewSet]], frames: list[np.ndarray]) -> FramePicture:
    """A frame (H, W, 4) uint8 per head and sample as the picture that they make."""
    samples: dict[int, list[tuple[HeadTask, np.ndarray, np.ndarray]]] = {}
    for (head, view_set), frame in zip(view_sets, frames, strict=True):
        depth = view_set.raw[0].depth * np.float32(head.scale)
        if head.mirrored:
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


def lost(task: FrameTask) -> OutputRecord:
    """The record of a frame whose worker died each time."""
    error = TurboPortraitError("worker_lost")
    return OutputRecord(task.key, task.shot, task.frame, task.path, code=error.code, sentence=error.sentence)


def _identity(head: HeadTask) -> tuple[str, str, str, str, int]:
    """What makes its avatar another than that of other heads."""
    return head.portrait, head.maker, head.head_model, head.texture, head.face
