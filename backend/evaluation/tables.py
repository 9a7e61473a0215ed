"""The paper's tables 1 and 2 on held-out identities of a corpus, and what several numbers of views do."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from statistics import median

import numpy as np
from PIL import Image

from backend.avatars.base import RenderedView
from backend.avatars.bust import register_bust
from backend.evaluation.by_person import gains_by_person
from backend.evaluation.fid import Fid
from backend.evaluation.measures import Measures, Tally
from backend.evaluation.multistep import refine_in_steps
from backend.evaluation.regions import INSIDE, regions_of
from backend.evaluation.rotation import band_of, by_yaw
from backend.evaluation.subject import PAIR, Subject, groups_of
from backend.evaluation.views import BLIND, REFINED, UNATTENDED, baselines, view_of, with_color
from backend.people.shards import Identity
from backend.people.tasks import GivenViews
from backend.protocol.errors import TurboPortraitError
from backend.protocol.pictures import bytes_over_grey, over_grey
from backend.refiner import Refiner
from backend.refiner.network.diffusion import NOISE_LEVELS
from backend.refiner.runtime.reference import ReferenceState
from flame import HeadModel

STEPS = (25, 50)
"""Of the multi-step baseline (paper, sections 1 and 5)."""
SIZES = (1, 2, 4, 5)
"""V, the views refined together."""
ABLATED, TIMED = 16, 4
"""On so many people noise levels and V are compared, and the avatar's times are taken."""


@dataclass
class Tables:
    """What was measured on a corpus.

    Attributes:
        measures: those that were taken.
        quality: Table 1's, of all views; people: the same of each person.
        steps: the same with the multi-step baseline, noise: by noise level (Table 2), sizes: by the number of views
            refined together: these three of the first pairs of some identities.
        seconds: what -> seconds, all that were taken.
        turned: the quality of each view, with its yaw in degrees (for Figure 6 and the bands).
        strangers: cosines between different people's portraits, by the same recogniser: what "not the same person" is.
    """

    measures: Measures
    quality: Tally = field(init=False)
    steps: Tally = field(init=False)
    noise: Tally = field(init=False)
    sizes: Tally = field(init=False)
    people: list[Tally] = field(default_factory=list)
    turned: list[tuple[float, Tally]] = field(default_factory=list)
    seconds: dict[str, list[float]] = field(default_factory=dict)
    strangers: list[float] = field(default_factory=list)
    identities: int = 0

    def __post_init__(self) -> None:
        self.quality, self.steps, self.noise, self.sizes = (Tally(self.measures) for _ in range(4))

    def timed(self, what: str, work: Callable):
        """Do work and note how long it took."""
        started = time.perf_counter()
        result = work()
        self.seconds.setdefault(what, []).append(time.perf_counter() - started)
        return result

    def as_dict(self) -> dict:
        """For JSON."""
        return {
            "identities": self.identities,
            "views": self.quality.views,
            "table1": self.quality.table(),
            "by person": self._by_person(),
            "figure6": {str(yaw): tally.table() for yaw, tally in by_yaw(self.turned).items()},
            "bands": {
                str(band): {"views": tally.views, **tally.table()}
                for band, tally in by_yaw(self.turned, band_of).items()
            },
            "first pairs": {"views": self.steps.views, **self.steps.table()},
            "table2 views": self.noise.views,
            "table2": self.noise.table()[INSIDE],
            "views together": self.sizes.table()[INSIDE],
            "seconds": {what: median(values) for what, values in self.seconds.items()},
            "recogniser": self.measures.recogniser.name if self.measures.recogniser else None,
            "ID of strangers": float(np.mean(self.strangers)) if self.strangers else None,
            "not available": self.measures.missing,
        }

    def _by_person(self) -> dict:
        tables = [tally.table() for tally in self.people]
        others = ("raw", BLIND, UNATTENDED)
        return {other: gains_by_person(tables, REFINED, other, (INSIDE, "doubtful")) for other in others}


def measure_tables(
    refiner: Refiner,
    identities: Iterable[Identity],
    model: HeadModel,
    measures: Measures,
    multistep: int = 1,
    done: Callable[[], None] = lambda: None,
    given: Sequence[GivenViews] = (),
) -> Tables:
    """All tables over held-out identities; the portrait's own view is left out.

    Args:
        refiner: prepared.
        identities: of the corpus, at the refiner's size.
        model: to register the portraits with, for the times.
        measures: see `Measures.at_hand`.
        multistep: the baseline runs on the first so many identities; each costs 75 U-Net evaluations.
        done: called after each identity.
        given: views of other systems, which Table 1 gets a row of each.

    Raises:
        TurboPortraitError: `bad_views`: one of them is missing or damaged.
    """
    tables = Tables(measures)
    portraits: list[np.ndarray] = []
    fid = Fid(measures.inception) if measures.inception else None
    for identity in identities:
        portrait = measures.embedding(over_grey(identity.reference))
        if portrait is not None:
            tables.strangers += [float(portrait @ other) for other in portraits]
            portraits.append(portrait)
        if tables.identities < TIMED:
            _time_avatar(tables, identity, model)
        scene = _Scene(identity, refiner, portrait)
        if not tables.identities:
            scene.refine(scene.views[:PAIR])  # Fills caches, before anything is timed.
        _measure_quality(tables, scene, fid, given)
        if tables.identities < multistep:
            _measure_steps(tables, scene)
        if tables.identities < ABLATED:
            _measure_noise(tables, scene)
            _measure_sizes(tables, scene)
        tables.identities += 1
        done()
    if fid:
        for method, value in fid.values().items():
            tables.quality.set(method, "FID", value)
    return tables


def _measure_quality(tables: Tables, scene: _Scene, fid: Fid | None, given: Sequence[GivenViews]) -> None:
    person = Tally(tables.measures)
    refined = [c for pair in groups_of(scene.views) for c in tables.timed("refine", partial(scene.refine, pair))]
    unwarped = [replace(view, warped=None) for view in scene.views]
    blind = [c for pair in groups_of(unwarped) for c in scene.refine(pair, reference=scene.grey)]
    unattended = [c for pair in groups_of(scene.views) for c in scene.refine(pair, reference=scene.grey)]
    for index, view in enumerate(scene.views):
        colors = {REFINED: refined[index], BLIND: blind[index], UNATTENDED: unattended[index]}
        pictures = baselines(view.rgba) | _colored(view.rgba, colors)
        others = {other.name: other.read(scene.seed, index + 1, len(view.rgba)) for other in given}
        pictures |= {name: over_grey(rgba) for name, rgba in others.items()}
        # Without an alpha nobody knows whose outline it is; then ours serves.
        outlines = {name: rgba[..., 3] for name, rgba in others.items() if rgba[..., 3].min() < 255}
        alone = Tally(tables.measures)
        scene.score(alone, index, pictures, outlines)
        person.merge(alone)
        tables.turned.append((scene.yaws[index], alone))
        if fid:
            fid.add(pictures, scene.truths[index])
    tables.people.append(person)
    tables.quality.merge(person)


def _measure_steps(tables: Tables, scene: _Scene) -> None:
    pair = scene.views[:PAIR]
    by_method = {REFINED: scene.refine(pair)}
    for steps in STEPS:
        iterate = partial(refine_in_steps, scene.refiner, pair, scene.reference, steps, seed=scene.seed)
        by_method[f"{steps} steps"] = tables.timed(f"{steps} steps", iterate)
    for index, view in enumerate(pair):
        colors = {method: images[index] for method, images in by_method.items()}
        scene.score(tables.steps, index, {"raw": over_grey(view.rgba)} | _colored(view.rgba, colors))


def _measure_noise(tables: Tables, scene: _Scene) -> None:
    pair = scene.views[:PAIR]
    by_level = {f"{level:.1f}": scene.refine(pair, level) for level in NOISE_LEVELS}
    for index, view in enumerate(pair):
        colors = {level: images[index] for level, images in by_level.items()}
        scene.score(tables.noise, index, _colored(view.rgba, colors))


def _measure_sizes(tables: Tables, scene: _Scene) -> None:
    pair, by_size = scene.views[:PAIR], {}
    for size in (size for size in SIZES if size <= len(scene.views)):
        refine = partial(scene.refine, scene.views[:size])
        by_size[str(size)] = tables.timed(f"{size} views", refine)
    # One alone is refined apart from the other.
    by_size["1"] = [scene.refine([view])[0] for view in pair]
    for index, view in enumerate(pair):
        colors = {size: images[index] for size, images in by_size.items()}
        scene.score(tables.sizes, index, _colored(view.rgba, colors))


class _Scene:
    """An identity's views to refine, with what they are compared by."""

    def __init__(self, identity: Identity, refiner: Refiner, portrait: np.ndarray | None) -> None:
        indices = range(1, len(identity.raw))
        self.refiner, self.portrait, self.seed = refiner, portrait, identity.seed
        self.reference = refiner.encode_reference(identity.reference, identity.place[0])
        self.grey = refiner.encode_reference(np.zeros_like(identity.reference))
        self.views = [view_of(identity, k) for k in indices]
        self.truths = [over_grey(identity.truth[k]) for k in indices]
        self.yaws = [float(identity.angles[k, 0]) for k in indices]
        self.outlines = [identity.truth[k, ..., 3] for k in indices]
        self.heads = [identity.head[k] for k in indices]
        self.masks = [self._regions(index, view.rgba[..., 3]) for index, view in enumerate(self.views)]

    def refine(
        self, views: Sequence[RenderedView], level: float | None = None, reference: ReferenceState | None = None
    ) -> list[np.ndarray]:
        """Refine views together, with the portrait unless another reference is given."""
        return self.refiner.refine(views, reference or self.reference, level, self.seed)

    def score(
        self,
        tally: Tally,
        index: int,
        pictures: dict[str, np.ndarray],
        outlines: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        """Score a view's pictures and their outlines.

        Args:
            outlines: alphas (S, S) uint8 of methods that do not share the raw view's.
        """
        own = {method: self._regions(index, alpha) for method, alpha in (outlines or {}).items()}
        tally.add(pictures, self.truths[index], self.masks[index], self.portrait, own)
        for method in pictures:
            alpha = (outlines or {}).get(method, self.views[index].rgba[..., 3])
            tally.add_outline(method, alpha, self.outlines[index], own.get(method, self.masks[index]))

    def _regions(self, index: int, alpha: np.ndarray) -> dict[str, np.ndarray]:
        return regions_of(alpha, self.outlines[index], self.heads[index], self.views[index].confidence)


def _colored(rgba: np.ndarray, colors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: over_grey(with_color(rgba, color)) for name, color in colors.items()}


def _time_avatar(tables: Tables, identity: Identity, model: HeadModel) -> None:
    """Register the portrait over grey and render a pair, for the times alone."""
    buffer = io.BytesIO()
    Image.fromarray(bytes_over_grey(identity.reference)).save(buffer, "PNG")
    try:
        avatar = tables.timed("register", lambda: register_bust(buffer.getvalue(), model))
    except TurboPortraitError:  # Cut so tightly that no face is found, a portrait tells no time; the views are there.
        return
    cameras = Subject(avatar, identity.reference).cameras((-25, 25))
    avatar.render(cameras, avatar.tracked.parameters)
    tables.timed("render", lambda: avatar.render(cameras, avatar.tracked.parameters))
