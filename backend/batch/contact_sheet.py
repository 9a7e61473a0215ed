"""The contact sheet: a page that opens from the disk and shows what a job made, how long it took and what failed."""

from __future__ import annotations

import datetime
import os
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2

from backend.batch.checksums import software_version
from backend.batch.driver import Summary
from backend.batch.job import Job
from backend.batch.metadata import SYNTHETIC
from backend.batch.movies import movie_tasks
from backend.batch.plan import THUMBNAILS, Plan
from backend.batch.rates import exact_rate, rate_text
from backend.batch.rendering import thumbnail_path
from backend.protocol.files import write_file

NAME = "index.html"
MAX_FAILURES = 500
"""Shown; all of them are in the job's records."""


def write_contact_sheet(plan: Plan, job: Job, summary: Summary, movies: Sequence[str]) -> Path:
    """Write the page into the output folder, in one step; its path.

    Raises:
        TurboPortraitError: as `atomic_file`.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=jinja2.StrictUndefined
    )
    path = job.output / NAME
    page = environment.get_template("contact_sheet.html.jinja").render(_content(plan, job, summary, movies))
    write_file(path, page, job.parts)
    return path


def _content(plan: Plan, job: Job, summary: Summary, movies: Sequence[str]) -> dict[str, Any]:
    made: dict[str, list[dict[str, str]]] = {shot.name: [] for shot in plan.shots}
    for task in movie_tasks(plan, movies):
        if (job.output / task.path).is_file():
            made[task.shot].append({"kind": task.kind, "name": task.path, "link": quote(task.path)})
    header = plan.poses.header
    return {
        "title": job.output.name,
        "software": software_version(),
        "source_type": SYNTHETIC,
        "when": datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
        "settings": plan.settings,
        "rate": rate_text(exact_rate(f"{header.fps[0]}/{header.fps[1]}")),
        "frames": len(plan),
        "summary": summary,
        "failures": summary.failures[:MAX_FAILURES],
        "failed_in_all": len(summary.failures),
        "wall": _duration(summary.wall_seconds),
        "shots": [_shot(plan, job, summary, index, made[shot.name]) for index, shot in enumerate(plan.shots)],
    }


def _shot(plan: Plan, job: Job, summary: Summary, index: int, movies: list[dict[str, str]]) -> dict[str, Any]:
    shot, state = plan.shots[index], summary.shots[index]
    start, count = int(plan.starts[index]), len(shot.frames)
    chosen = sorted({round(i * (count - 1) / max(THUMBNAILS - 1, 1)) for i in range(THUMBNAILS)})
    pictures = []
    for offset, (view, each) in product(chosen, enumerate(plan.poses.header.views)):
        number = start + offset * plan.views + view
        small = thumbnail_path(job.folder, plan.keys[number])
        path = plan.path(number)
        pictures.append(
            {
                "frame": f"{shot.first + offset}{each.suffix}",
                "link": quote(path) if (job.output / path).is_file() else "",
                "small": quote(os.path.relpath(small, job.output).replace(os.sep, "/")) if small.is_file() else "",
            }
        )
    per_frame = {stage: total / max(state.kept + state.done, 1) for stage, total in state.seconds.items()}
    return {
        "shot": shot,
        "quality": plan.quality(shot),
        "state": state,
        "percent": round(100 * (state.kept + state.done) / max(state.frames, 1)),
        "pictures": pictures,
        "movies": movies,
        "timings": [(stage, f"{1000 * seconds:.0f} ms") for stage, seconds in per_frame.items()],
    }


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
