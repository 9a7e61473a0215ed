"""Latest wins on Blender's side: one picture, or several that belong together, kept as new as the backend allows.

While something moves only raw views are asked for, the next as soon as the last has come; at rest, the refined
view. So nothing queues, and the backend is never busy refining what no one sees any more.
Needs no Blender.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from backend.client import Client, Handle, TurboPortraitError
from backend.protocol import Camera
from backend.protocol.messages import ViewPixels

from ..connection.requests import as_blender_sees, submit_render
from ..scene.head_requests import HeadRequest
from ..scene.render_options import RenderOptions
from .motion import SharedMotion
from .profiler import Profiler

QUICK_REFINER_SECONDS = 0.03
"""A refiner that takes no longer refines movements too."""
RAW_BUDGET_SECONDS, STILL_BUDGET_SECONDS = 0.03, 0.25
"""What a raw view may cost in motion and at rest; where the size may adapt, it is made to fit."""
SMALLEST_SCALE, SCALE_STEPS = 0.25, 8
SAME_AREA = 0.01

Recover = Callable[["Stream", HeadRequest, TurboPortraitError], None]
_serials = itertools.count()


@dataclass(frozen=True)
class Snapshot:
    """What shall be shown: every head as every camera sees it."""

    heads: tuple[HeadRequest, ...]
    options: RenderOptions

    @property
    def megapixels(self) -> float:
        """Pixels of all views, in millions."""
        return sum(view.camera.width * view.camera.height for head in self.heads for view in head.views) / 1e6

    def scaled(self, scale: float) -> Snapshot:
        """The same, smaller."""
        if scale == 1:
            return self
        heads = tuple(
            replace(head, views=tuple(replace(view, camera=_scaled(view.camera, scale)) for view in head.views))
            for head in self.heads
        )
        return replace(self, heads=heads)


@dataclass(frozen=True)
class LivePicture:
    """What has arrived: `views[camera][head]`, with the scales of depth likewise."""

    stage: str
    changed_at: float
    views: tuple[tuple[ViewPixels, ...], ...]
    scales: tuple[tuple[float, ...], ...]


@dataclass(eq=False)
class _Flight:
    """A snapshot that the backend works on: a request per head."""

    snapshot: Snapshot
    sent: Snapshot
    changed_at: float
    raw: bool
    refined: bool
    handles: list[Handle]
    delivered: set[str] = field(default_factory=set)

    @property
    def finished(self) -> bool:
        return all(handle.finished for handle in self.handles)

    @property
    def error(self) -> TurboPortraitError | None:
        return next((handle.error for handle in self.handles if handle.error), None)

    @property
    def may_be_replaced(self) -> bool:
        """Only refining is left, or nothing: a newer snapshot need not wait for it."""
        return self.finished or not self.raw or "raw" in self.delivered


class Stream:
    """Asks for the newest snapshot and hands out what arrives, in order, never older than what was shown.

    Attributes:
        problem: why nothing arrives; cleared by the next picture.
    """

    def __init__(
        self,
        profiler: Profiler,
        recover: Recover,
        shared: SharedMotion,
        adaptive: bool = False,
    ) -> None:
        """Begin with nothing.

        Args:
            recover: registers a head's avatar again, told why; then calls the stream's `recovered`.
            shared: what else moves: nothing is refined meanwhile.
            adaptive: pictures may be smaller than asked for in motion.
        """
        self.problem: Exception | None = None
        self._profiler = profiler
        self._recover = recover
        self._adaptive = adaptive
        self._shared_motion = shared
        self._motion = shared.motion()
        self._key = next(_serials)
        self._wanted: Snapshot | None = None
        self._flight: _Flight | None = None
        self._shown: tuple[Snapshot, str, float] | None = None
        self._recovering = False
        self._failed: Snapshot | None = None
        self._raw_seconds_per_megapixel = 0.0
        self._refine_seconds = math.inf

    @property
    def wanted(self) -> Snapshot | None:
        """What shall be shown."""
        return self._wanted

    @property
    def shown(self) -> Snapshot | None:
        """What the last picture shows."""
        return self._shown[0] if self._shown else None

    @property
    def idle(self) -> bool:
        """What is wanted is shown, as good as it gets, or can't be."""
        if self._flight is not None or self._recovering:
            return False
        return self._wanted is None or self._wanted == self._failed or self._next_work(self._wanted, math.inf) is None

    def offer(self, snapshot: Snapshot | None, now: float) -> bool:
        """Say what shall be shown, None for nothing; False if that is known already."""
        if snapshot == self._wanted:
            return False
        self._wanted = snapshot
        self._motion.change(now)
        return True

    def forget(self) -> None:
        """The backend is another: ask for everything again."""
        self._flight = self._shown = self._failed = None
        self._recovering = False

    def retry(self) -> None:
        """Ask again for what the backend has refused."""
        self._failed = self.problem = None

    def advance(self, client: Client, now: float) -> list[LivePicture]:
        """Take in what has arrived and ask for what is next; never waits. `now` in seconds of time.perf_counter."""
        pictures = self._collect(self._flight) if self._flight else []
        self.ask(client, now)
        return pictures

    def ask(self, client: Client, now: float) -> None:
        """Ask for what is next, if it is time; never waits."""
        may_send = self._flight is None or self._flight.may_be_replaced
        if self._wanted and self._wanted != self._failed and may_send and not self._recovering:
            work = self._next_work(self._wanted, now)
            if work:
                self._send(client, self._wanted, *work)

    # Arriving

    def _collect(self, flight: _Flight) -> list[LivePicture]:
        pictures: list[LivePicture] = []
        error = flight.error
        if error is None:
            for stage in ("raw", "refined"):
                parts = [getattr(handle, stage) for handle in flight.handles]
                if getattr(flight, stage) and all(parts) and stage not in flight.delivered:
                    flight.delivered.add(stage)
                    pictures.append(self._picture(flight, stage, parts))
        if error is not None:
            self._fail(flight, error)
        elif flight.finished:
            self._learn(flight)
            self._flight = None
        return pictures

    def _picture(self, flight: _Flight, stage: str, parts: list) -> LivePicture:
        self.problem = None
        scale = flight.sent.megapixels / max(flight.snapshot.megapixels, 1e-9)
        self._shown = (flight.snapshot, stage, scale)
        seen = [
            [as_blender_sees(pixels, view) for pixels, view in zip(part.views, head.views, strict=True)]
            for part, head in zip(parts, flight.snapshot.heads, strict=True)
        ]
        by_camera = zip(*seen, strict=True)
        scales = zip(*[[view.scale for view in head.views] for head in flight.snapshot.heads], strict=True)
        return LivePicture(stage, flight.changed_at, tuple(by_camera), tuple(scales))

    def _fail(self, flight: _Flight, error: TurboPortraitError) -> None:
        self._flight = None
        if error.code == "superseded":
            self._profiler.count("stale")
        elif error.code == "unknown_avatar":
            heads = zip(flight.snapshot.heads, flight.handles, strict=True)
            unknown = next(head for head, handle in heads if handle.error and handle.error.code == error.code)
            self._recovering = True
            self._recover(self, unknown, error)
        elif error.code not in ("cancelled", "backend_lost", "backend_unreachable"):
            self.problem = error
            self._failed = flight.snapshot

    def recovered(self, error: Exception | None = None) -> None:
        """The avatar is known again, or can't be: the error says why."""
        self._recovering = False
        if error is not None:
            self.problem, self._failed = error, self._wanted

    def _learn(self, flight: _Flight) -> None:
        """From the backend's timings: what a megapixel costs, and what refining costs."""
        timings = [handle.timings for handle in flight.handles]
        self._profiler.write("backend", stages=sorted(flight.delivered), heads=timings)
        raw = sum(timing.get("raw", 0.0) for timing in timings) / max(flight.sent.megapixels, 1e-6)
        before = self._raw_seconds_per_megapixel
        self._raw_seconds_per_megapixel = 0.7 * before + 0.3 * raw if before else raw
        if flight.refined:
            self._refine_seconds = sum(timing.get("refined", 0.0) for timing in timings)

    # Asking

    def _next_work(self, wanted: Snapshot, now: float) -> tuple[bool, bool, float] | None:
        """(raw, refined, scale) to ask for next; None if there is nothing to do, or not yet."""
        moving = self._shared_motion.moving(now)
        full = self._scale(wanted, STILL_BUDGET_SECONDS)
        refines = wanted.options.refined
        known = self._flight.snapshot if self._flight else self.shown
        if known != wanted:
            if moving:
                quick = self._refine_seconds < QUICK_REFINER_SECONDS
                return True, refines and quick, self._scale(wanted, RAW_BUDGET_SECONDS)
            return True, refines, full
        if self._flight is not None or self._shown is None or moving:
            return None
        # At rest, and this is shown: make it as good as it gets.
        _, stage, area = self._shown
        larger = area < full**2 - SAME_AREA
        if refines and (stage != "refined" or larger):
            return larger, True, full
        return (True, False, full) if larger else None

    def _scale(self, wanted: Snapshot, budget: float) -> float:
        cost = self._raw_seconds_per_megapixel * wanted.megapixels
        if not self._adaptive or cost <= budget:
            return 1.0
        return max(SMALLEST_SCALE, math.floor(math.sqrt(budget / cost) * SCALE_STEPS) / SCALE_STEPS)

    def _send(self, client: Client, snapshot: Snapshot, raw: bool, refined: bool, scale: float) -> None:
        if self._flight is not None and not self._flight.finished:
            self._profiler.count("stale")
        sent = snapshot.scaled(scale)
        deep = len(snapshot.heads) > 1
        handles = []
        for number, head in enumerate(sent.heads):
            # The same keys each time: the backend drops what a newer request for them makes stale.
            keys = [f"live {self._key} {number} {camera}" for camera in range(len(head.views))]
            handles.append(submit_render(client, head, snapshot.options, keys, raw, refined, deep))
        self._flight = _Flight(snapshot, sent, self._motion.changed_at, raw, refined, handles)
        self._profiler.count("asked")


def _scaled(camera: Camera, scale: float) -> Camera:
    width, height = max(1, round(camera.width * scale)), max(1, round(camera.height * scale))
    K = camera.intrinsics
    K[0] *= width / camera.width
    K[1] *= height / camera.height
    return Camera.from_arrays(K, camera.extrinsics, width, height)
