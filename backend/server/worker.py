"""The thread that computes: takes jobs from the scheduler, sends replies to the router's thread."""

from __future__ import annotations

import logging
import threading
import time

import numpy as np
import zmq

from backend.avatars.base import RenderedView
from backend.pipeline import Pipeline
from backend.protocol.codec import encode
from backend.protocol.errors import describe
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
    ViewPixels,
    error_reply,
)
from backend.server.scheduler import Job, Scheduler

log = logging.getLogger(__name__)


class Worker(threading.Thread):
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

    def _do(self, job: Job) -> None:
        if job.raw is None:
            job.timings["queue"] = time.monotonic() - job.received
        try:
            job.check()
            match job.request:
                case Register():
                    self._register(job)
                case Render():
                    if job.raw is None:
                        self._render(job)
                        if job.request.refined and self._scheduler.give_way(job):
                            return
                    if job.request.refined:
                        self._refine(job)
                case GetMesh():
                    mesh = self._pipeline.mesh(job.request.avatar)
                    self._send(job, MeshReply(id=job.request.id, mesh=mesh))
            job.timings["total"] = time.monotonic() - job.received
            # The protocol carries plain text; a warning may be a kind of str that only the process which gave it knows.
            warnings = tuple(map(str, job.warnings))
            self._send(job, Done(id=job.request.id, timings=job.timings, superseded=job.unwanted, warnings=warnings))
        except Exception as error:
            shown = describe(error)
            if shown.code == "internal":
                log.exception("request %d failed", job.request.id)
            self._send(job, error_reply(job.request.id, shown))

    def _register(self, job: Job) -> None:
        request = job.request

        def progress(fraction: float, stage: str) -> None:
            job.check()
            self._report(job, fraction, stage)

        registration = self._pipeline.register(
            bytes(request.photo), request.maker, request.head_model, progress, request.texture
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

    def _render(self, job: Job) -> None:
        request = job.request
        registration = self._pipeline.find(request.avatar)
        if request.refined:
            self._pipeline.check_preset(request.preset)
        self._report(job, 0.0, "rendering")
        started = time.monotonic()
        views = job.wanted
        frames = self._pipeline.render_raw(registration, [view.camera for view in views], request.parameters)
        job.timings["raw"] = time.monotonic() - started
        job.check()
        job.raw = {view.key: frame for view, frame in zip(views, frames, strict=True)}
        if request.raw:
            pixels = [_pixels(view.key, frame.rgba, frame, request) for view, frame in zip(views, frames, strict=True)]
            self._send(job, RawViews(id=request.id, views=tuple(pixels)))

    def _refine(self, job: Job) -> None:
        request = job.request
        self._report(job, 0.5, "refining")
        started = time.monotonic()
        views = [view for view in job.wanted if view.key in job.raw]
        raw = [job.raw[view.key] for view in views]
        frames = self._pipeline.refine(
            self._pipeline.find(request.avatar),
            [view.camera for view in views],
            request.parameters,
            raw,
            request.preset,
            request.noise_level,
            request.joint,
            job.warnings.append,
        )
        job.timings["refined"] = time.monotonic() - started
        for sentence in job.warnings:
            log.warning("request %d: %s", request.id, sentence)
        job.check()
        refined = [
            _pixels(view.key, frame, rendered, request)
            for view, frame, rendered in zip(views, frames, raw, strict=True)
        ]
        self._send(job, RefinedViews(id=request.id, views=tuple(refined)))

    def _report(self, job: Job, fraction: float, stage: str) -> None:
        self.stage = stage
        self._send(job, Progress(id=job.request.id, fraction=float(fraction), stage=stage))

    def _send(self, job: Job, reply: Message) -> None:
        self._outlet.send_multipart([job.client, *encode(reply)], copy=False)


def _pixels(key: str, rgba: np.ndarray, rendered: RenderedView, request: Render) -> ViewPixels:
    return ViewPixels(key, rgba, rendered.depth if request.depth else None)
