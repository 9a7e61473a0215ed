"""The thread that computes: takes jobs from the scheduler, sends replies to the router's thread."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Sequence

import numpy as np
import psutil
import zmq

from backend.avatars.base import RenderedView
from backend.pipeline import Pipeline
from backend.pipeline.parts import Parts, Result
from backend.protocol.codec import encode
from backend.protocol.errors import TurboPortraitError, describe
from backend.protocol.messages import (
    Done,
    GetMesh,
    MeshReply,
    Message,
    Notice,
    Progress,
    RawViews,
    RefinedViews,
    Register,
    Registered,
    Render,
    View,
    ViewPixels,
    error_reply,
)
from backend.server.memory import return_freed
from backend.server.scheduler import QueuedRequest, Scheduler

log = logging.getLogger(__name__)
_PIXEL_BYTES = 56
"""Memory that a pixel of a request takes: one view of 8192x8192 took 50, raw and refined; its reply is copied once."""


class RequestWorker(threading.Thread):
    """Computes one job at a time, so that a job has the whole machine."""

    def __init__(self, pipeline: Pipeline, scheduler: Scheduler, context: zmq.Context, outlet: str) -> None:
        """`outlet` is the inproc address to which replies go, as [client, *frames]."""
        super().__init__(name="worker", daemon=True)
        self._pipeline = pipeline
        self._scheduler = scheduler
        self._outlet = context.socket(zmq.PUSH)
        self._outlet.setsockopt(zmq.LINGER, 0)
        self._outlet.setsockopt(zmq.SNDHWM, 0)
        self._outlet.connect(outlet)
        self.stage = "starting"

    def run(self) -> None:
        """Work until the scheduler is closed."""
        try:
            self._pipeline.warm_up()
        except Exception:
            log.exception("warming up failed; requests will say why")
        self.stage = ""
        while job := self._scheduler.take():
            self._do(job)
            self._scheduler.finish()
            self.stage = ""
        self._outlet.close()

    def discard(self) -> None:
        """Free the socket of a worker that never ran."""
        self._outlet.close()

    def _do(self, job: QueuedRequest) -> None:
        try:
            if job.work is None:
                job.timings["queue"] = time.monotonic() - job.received
                job.work = self._work(job)
            job.check()
            for _ in job.work:
                if self._scheduler.give_way(job):
                    return
                job.check()
            job.timings["total"] = time.monotonic() - job.received
            # The protocol carries plain text; a warning may be a kind of str that only the process which gave it knows.
            warnings = tuple(map(str, job.warnings))
            self._send(job, Done(id=job.request.id, timings=job.timings, superseded=job.unwanted, warnings=warnings))
        except Exception as error:
            shown = describe(error)
            if shown.code == "internal":
                log.exception("request %d failed", job.request.id)
            self._send(job, error_reply(job.request.id, shown))

    def _work(self, job: QueuedRequest) -> Iterator[None]:
        """The request's work, between whose parts others may go before it."""
        match job.request:
            case Register() as request:
                self._register(job, request)
                return_freed()
            case Render() as request:
                raw = yield from self._render(job, request)
                job.shown = True
                if request.refined:
                    yield
                    yield from self._refine(job, request, raw)
            case GetMesh() as request:
                self._send(job, MeshReply(id=request.id, mesh=self._pipeline.mesh(request.avatar)))

    def _register(self, job: QueuedRequest, request: Register) -> None:
        def progress(fraction: float, stage: str) -> None:
            job.check()
            self._report(job, fraction, stage)

        registration = self._pipeline.register(
            bytes(request.photo), request.maker, request.head_model, progress, request.texture, request.face
        )
        tracked = registration.avatar.tracked
        self._send(
            job,
            Registered(
                id=request.id,
                avatar=registration.avatar.id,
                camera=tracked.camera,
                parameters=tracked.parameters,
                betas=tracked.betas,
                reference=registration.reference,
                maker=request.maker,
                head_model=request.head_model,
                head_model_checksum=registration.head_model_checksum,
                warnings=tuple(Notice(code, sentence) for code, sentence in tracked.warnings),
            ),
        )

    def _render(self, job: QueuedRequest, request: Render) -> Parts[dict[str, RenderedView]]:
        registration = self._pipeline.find(request.avatar)
        if request.refined:
            self._pipeline.check_preset(request.preset)
        self._report(job, 0.0, "rendering")
        clock = _Clock()
        views = job.wanted
        check_memory(views)
        rendering = self._pipeline.rendering(registration, [view.camera for view in views], request.parameters)
        frames = yield from clock.watched(rendering)
        job.timings["raw"] = clock.seconds
        job.check()
        if request.raw:
            pixels = [_pixels(view.key, frame.rgba, frame, request) for view, frame in zip(views, frames, strict=True)]
            self._send(job, RawViews(id=request.id, views=tuple(pixels)))
        return {view.key: frame for view, frame in zip(views, frames, strict=True)}

    def _refine(self, job: QueuedRequest, request: Render, rendered: dict[str, RenderedView]) -> Parts[None]:
        self._report(job, 0.5, "refining")
        clock = _Clock()
        views = [view for view in job.wanted if view.key in rendered]
        raw = [rendered[view.key] for view in views]
        refining = self._pipeline.refining(
            self._pipeline.find(request.avatar),
            [view.camera for view in views],
            request.parameters,
            raw,
            request.preset,
            request.noise_level,
            request.joint,
            job.warnings.append,
        )
        frames = yield from clock.watched(refining)
        job.timings["refined"] = clock.seconds
        for sentence in job.warnings:
            log.warning("request %d: %s", request.id, sentence)
        job.check()
        refined = [
            _pixels(view.key, frame, raw_view, request)
            for view, frame, raw_view in zip(views, frames, raw, strict=True)
        ]
        self._send(job, RefinedViews(id=request.id, views=tuple(refined)))

    def _report(self, job: QueuedRequest, fraction: float, stage: str) -> None:
        self.stage = stage
        self._send(job, Progress(id=job.request.id, fraction=float(fraction), stage=stage))

    def _send(self, job: QueuedRequest, reply: Message) -> None:
        self._outlet.send_multipart([job.client, *encode(reply)], copy=False)


class _Clock:
    """Seconds of work, without those of others between its parts."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def watched(self, parts: Parts[Result]) -> Parts[Result]:
        """The same parts."""
        while True:
            began = time.monotonic()
            try:
                next(parts)
            except StopIteration as end:
                return end.value
            finally:
                self.seconds += time.monotonic() - began
            yield


def check_memory(views: Sequence[View]) -> None:
    """Refuse what this machine's free memory does not hold.

    Raises:
        TurboPortraitError: out_of_memory.
    """
    needed = _PIXEL_BYTES * sum(view.camera.width * view.camera.height for view in views)
    if needed > (available := psutil.virtual_memory().available):
        detail = f"{needed >> 20} MiB are needed, {available >> 20} MiB are free"
        raise TurboPortraitError("out_of_memory", detail)


def _pixels(key: str, rgba: np.ndarray, rendered: RenderedView, request: Render) -> ViewPixels:
    return ViewPixels(key, rgba, rendered.depth if request.depth else None)
