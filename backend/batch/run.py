"""One run of a batch: lock, plan against what is there, drive, report. The command line and the bench call this."""

from __future__ import annotations

import importlib.util
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from backend.batch.checksums import installed
from backend.batch.driver import Driver, Summary, Tell
from backend.batch.job import Job
from backend.batch.plan import Plan, split_done
from backend.batch.records import OutputRecord
from backend.batch.rendering import default_pipeline
from backend.batch.work import LocalPool, Pool, WorkerSettings
from backend.protocol.errors import TurboPortraitError

FEW = 16
"""Frames for which no other process is started: each would need seconds to load and to register the portraits."""


@dataclass(frozen=True)
class Resources:
    """Who does the work.

    Attributes:
        workers: 0 for this process; None for as many as there are GPUs or processors.
        ray: address of a Ray cluster; empty for a local one.
        threads: of each worker; 0 for a fair share.
        batch: frames that are refined together.
        pipeline: makes a worker's pipeline; importable on every node.
    """

    workers: int | None = None
    ray: str = ""
    threads: int = 0
    batch: int = 4
    pipeline: Callable = default_pipeline


def run_job(
    plan: Plan,
    job: Job,
    resources: Resources,
    movies: Sequence[str] = (),
    source: tuple[str, str] = ("", ""),
    tell: Tell = lambda event: None,
    stop: Callable[[], bool] = lambda: False,
) -> Summary:
    """Render what is missing of a plan.

    Args:
        movies: kinds of movies per shot, see `movies.KINDS`.
        source: names of the shot list and the .blend, for the manifest.
        tell: takes events.
        stop: asked all the time.

    Raises:
        TurboPortraitError: job_locked, no_ray, node_differs; disk_full, read_only or cannot_write, where not even the
            manifest can be written.
    """
    from backend.batch.contact_sheet import NAME as PAGE
    from backend.batch.contact_sheet import write_contact_sheet

    stale = job.lock.acquire()
    try:
        started = time.perf_counter()
        if stale:
            tell({"event": "note", "sentence": stale})
        records = job.records()
        kept, missing = split_done(plan, records, job.output)
        removed = job.tidy(records.values())
        if removed:
            tell({"event": "note", "sentence": f"{removed} half written files of a run that was killed were removed."})
        job.write_manifest(plan, *source)
        tell(planned(plan, kept, missing) | {"seconds": round(time.perf_counter() - started, 3)})

        def asked_to_stop() -> bool:
            return stop() or job.lock.stop_requested()

        driver = Driver(plan, job, kept, missing, resources.batch, movies, records, tell, asked_to_stop)
        summary = driver.run(lambda: make_pool(plan, job, resources, len(missing), tell))
        try:
            write_contact_sheet(plan, job, summary, movies)
        except TurboPortraitError as error:
            summary.failures.append(OutputRecord("", "", None, PAGE, code=error.code, sentence=error.sentence))
            tell({"event": "note", "sentence": error.sentence})
        return summary
    finally:
        job.lock.release()


def planned(plan: Plan, kept: Sequence[OutputRecord], missing: Sequence[int]) -> dict[str, Any]:
    """The event that says what is there and what is to be rendered, also per shot."""
    there = Counter(record.shot for record in kept)
    shots = [
        {"name": shot.name, "frames": len(shot.frames) * plan.views, "kept": there[shot.name]} for shot in plan.shots
    ]
    return {"event": "planned", "frames": len(plan), "kept": len(kept), "missing": len(missing), "shots": shots}


def make_pool(plan: Plan, job: Job, resources: Resources, missing: int, tell: Tell) -> Pool:
    """Workers on Ray, or this process as the only one: where that is wanted, for a few frames, and without Ray.

    Raises:
        TurboPortraitError: no_ray, where workers are asked for.
    """
    settings = WorkerSettings(
        job.output, job.folder, plan.photos, plan.poses.textures, resources.pipeline, resources.threads
    )
    free = resources.workers is None and not resources.ray
    if resources.workers == 0 or (free and missing <= FEW):
        return LocalPool(settings)
    if importlib.util.find_spec("ray") is None and free:
        tell({"event": "note", "sentence": "Ray is not installed: this process renders alone."})
        return LocalPool(settings)
    from backend.batch.ray_pool import RayPool

    return RayPool(settings, resources.workers, resources.ray, expected_models(plan))


def expected_models(plan: Plan) -> dict[str, str]:
    """What every node must have: the release, and checksums by the names of presets and head models."""
    qualities = {plan.quality(shot) for shot in plan.shots}
    heads = {head.head_model for head in plan.poses.header.heads}
    return installed(qualities, heads)
