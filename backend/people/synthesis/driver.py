"""Make the corpus: seeds in, folders of people out; several processes, resumable, failures named."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from backend.people.makehuman.library import open_library
from backend.people.shards import is_held_out, seeds_of
from backend.people.synthesis import light
from backend.people.synthesis.camera_response import CameraLook
from backend.people.synthesis.files import is_written, write_person
from backend.people.synthesis.processes import Interrupted, spread
from backend.protocol.errors import TurboPortraitError, storage_code
from backend.protocol.files import storage_error, write_file

if TYPE_CHECKING:
    from backend.people.synthesis.renderer import Studio

SUMMARY = "summary.json"


@dataclass(frozen=True)
class CorpusConfig:
    """What to synthesise.

    Attributes:
        folder: where people's folders go.
        first_seed, identities: the seeds first_seed ... first_seed + identities - 1.
        views: besides the portrait. size: pixels of the square portrait; views have half of it, but at least 256.
        samples: of Cycles a pixel.
        workers: processes, each with a Blender of its own. threads: of Cycles in each.
        blender: a Blender to render with; None for the package bpy.
        components_only: identities within the head model's components, without anny.
        held_out_only: of these seeds only those that nothing is trained on.
        assets: folder of MakeHuman's system assets; without them skin and hair are procedural.
    """

    folder: str
    first_seed: int = 0
    identities: int = 16
    views: int = 6
    size: int = 512
    samples: int = 8
    workers: int = 2
    threads: int = 1
    blender: str | None = None
    components_only: bool = False
    held_out_only: bool = False
    assets: str | None = None

    @property
    def seeds(self) -> list[int]:
        """Of the people to make."""
        return seeds_of(self.first_seed, self.identities, self.held_out_only)


@dataclass
class Outcome:
    """What became of a person.

    Attributes:
        seed: the person's. error: why there is none, or empty.
        prepared: seconds of building the scene. rendered: seconds of Cycles for each view. seconds: in all.
        disk_full: whether the disk is why.
    """

    seed: int
    error: str = ""
    prepared: float = 0.0
    rendered: list[float] = field(default_factory=list)
    seconds: float = 0.0
    disk_full: bool = False


@dataclass
class CorpusSummary:
    """What a run did.

    Attributes:
        there: people that were there before. made: this run's, whole. failed: those that could not be made.
        wall: seconds of the run. interrupted: by what it was ended before it was done, or empty.
    """

    there: int = 0
    made: list[Outcome] = field(default_factory=list)
    failed: list[Outcome] = field(default_factory=list)
    wall: float = 0.0
    interrupted: str = ""

    @property
    def images(self) -> int:
        """Pictures made in this run."""
        return sum(len(outcome.rendered) for outcome in self.made)


def synthesize_people(config: CorpusConfig, report: Callable[[Outcome], None]) -> CorpusSummary:
    """Make the people that are not there yet; write summary.json beside them, however it ends.

    Args:
        report: called after each person.

    Raises:
        TurboPortraitError: `bad_corpus`: the folder has people of another size; `disk_full`, `read_only`,
            `cannot_write`; `no_blender`.
        Interrupted: a signal ended it.
    """
    start, folder = time.perf_counter(), Path(config.folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error(error, folder) from error
    seeds = config.seeds
    missing = [seed for seed in seeds if not is_written(folder, seed, config.size, config.views)]
    summary = CorpusSummary(there=len(seeds) - len(missing))
    try:
        with closing(spread(missing, _make, config.workers, _start, config)) as done:
            for _, future in done:
                outcome = future.result()
                (summary.failed if outcome.error else summary.made).append(outcome)
                report(outcome)
                if outcome.disk_full:
                    hint = "Make room and run the same command again."
                    raise TurboPortraitError("disk_full", outcome.error, hint=hint)
    except BrokenProcessPool as error:
        raise TurboPortraitError(
            "no_blender", "a worker has died; run again to go on", sentence="Rendering has stopped."
        ) from error
    except Interrupted as interruption:
        summary.interrupted = str(interruption)
        raise
    finally:
        summary.wall = time.perf_counter() - start
        write_summary(folder, asdict(summary) | {"images": summary.images})
    return summary


def write_summary(folder: Path, summary: dict) -> None:
    """Put what a run did beside what it made, as JSON, if there is room for it."""
    # What was made counts; a full disk is told by what it stopped.
    with contextlib.suppress(TurboPortraitError):
        write_file(folder / SUMMARY, json.dumps(summary, indent=1) + "\n")


class _Worker:
    """One process' state: the head model, where heads come from, a studio."""

    def __init__(self, config: CorpusConfig) -> None:
        import cv2

        from backend.people.synthesis.identity import ShapeSource
        from backend.tracking.embedding import with_landmarks
        from flame import load_head_model

        cv2.setNumThreads(1)
        self.config = config
        self.model = with_landmarks(load_head_model())
        self.shapes = ShapeSource(self.model, config.components_only)
        self.skies = light.blender_skies(config.blender)
        self.library = open_library(Path(config.assets)) if config.assets else None
        self._studio: Studio | None = None

    @property
    def studio(self) -> Studio:
        """The Blender, started when it is first needed, and again after it died."""
        from backend.people.synthesis.renderer import Studio

        if self._studio is None:
            self._studio = Studio(self.config.blender, self.config.threads)
        return self._studio

    def make(self, seed: int) -> Outcome:
        """Make a person and write the folder."""
        from backend.people.synthesis.build import build_scene
        from backend.people.synthesis.person import draw_person
        from backend.people.synthesis.views import draw_views

        config, start = self.config, time.perf_counter()
        person = draw_person(seed, self.shapes, self.library)
        views = draw_views(person, self.model, config.views, config.size)
        surroundings = light.draw_surroundings(person.rng(36), self.skies, is_held_out(seed))
        scene = build_scene(person, self.shapes, views, surroundings)
        prepared = time.perf_counter() - start
        try:
            shots, seconds = self.studio.render(scene, config.samples)
        except TurboPortraitError:
            self._studio = None
            raise
        rng = person.rng(40)
        look = CameraLook.draw(rng, shots[0], person.traits.skin)
        images: dict[str, np.ndarray] = {}
        for k, (view, shot) in enumerate(zip(views, shots, strict=True)):
            behind = look.background(rng, light.backdrop(rng, surroundings, view.camera))
            images |= {f"view_{k:02d}": look.develop(shot["color"]), f"labels_{k:02d}": _labels(scene, view, shot, k),
                       f"background_{k:02d}": behind}  # fmt: skip
        images["portrait"] = look.photograph(rng, images["view_00"], images["background_00"])
        about = person.describe() | {
            "head_model": self.model.name, "head_model_checksum": self.model.checksum,
            "sizes": [view.camera.width for view in views], "samples": config.samples,
            "rig": scene.description["rig"], "sky": scene.description["sky"], "views": [view.play for view in views],
        }  # fmt: skip
        write_person(Path(config.folder), seed, about, _arrays(person, views, shots), images)
        return Outcome(seed, "", prepared, seconds, time.perf_counter() - start)


def _labels(scene, view, shot, k: int) -> np.ndarray:
    """What a picture shows, with the glasses' lenses."""
    from backend.people.synthesis.labels import add_lenses

    moment = scene.description["views"][k]["moment"]
    vertices = scene.arrays.get(f"meshes/lens/{moment}")
    if vertices is None:
        return shot["labels"]
    return add_lenses(shot["labels"], shot["depth"], view.camera, vertices, scene.arrays["meshes/lens/faces"])


def _arrays(person, views, shots) -> dict[str, np.ndarray]:
    arrays = {
        "betas": person.shape.betas,
        "vertices": person.shape.vertices,
        "K": np.stack([v.camera.intrinsics for v in views]),
        "world_to_camera": np.stack([v.camera.extrinsics for v in views]),
        "angles": np.stack([v.angles for v in views]).astype(np.float32),
        "pose": np.stack([v.parameters.joint_rotations for v in views]),
        "expression": np.stack([np.array(v.parameters.expression, np.float32) for v in views]),
        "translation": np.stack([np.array(v.parameters.translation, np.float32) for v in views]),
        "landmarks": np.stack([v.camera.project(v.landmarks) for v in views]).astype(np.float32),
        "landmarks_3d": np.stack([v.landmarks for v in views]).astype(np.float32),
    }
    return arrays | {f"depth_{k:02d}": shot["depth"] for k, shot in enumerate(shots)}


_worker: _Worker | None = None


def _start(config: CorpusConfig) -> None:
    global _worker
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    _worker = _Worker(config)


def _make(seed: int) -> Outcome:
    start = time.perf_counter()
    assert _worker is not None, "`_start` ran first"
    try:
        return _worker.make(seed)
    except (OSError, TurboPortraitError) as error:
        full = storage_code(error) == "disk_full"
        return Outcome(seed, str(error), seconds=time.perf_counter() - start, disk_full=full)
    except Exception as error:
        return Outcome(seed, f"{type(error).__name__}: {error}", seconds=time.perf_counter() - start)
