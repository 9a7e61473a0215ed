"""Refining in use: pictures in, pictures out, whatever the memory allows, and never a black frame."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from backend.avatars.base import RenderedView
from backend.protocol.errors import TurboPortraitError
from backend.refiner.config import RefinerConfig
from backend.refiner.head_space import UNIT
from backend.refiner.runtime.boxes import Boxes, heads_shown
from backend.refiner.runtime.reference import ReferenceState
from backend.refiner.views import ViewArrays, check_square, portrait_arrays, stack_samples, with_own_clothes

log = logging.getLogger(__name__)

Warn = Callable[[str], None]
Refined = tuple[np.ndarray, np.ndarray]
"""Pictures (B, V, S, S, 3) uint8, and (B, V) bool: whether what the networks said of a view was all finite; where not,
the picture is raw."""


class Unrefined(str):
    """A warning's sentence, told apart from others: views are shown raw because the network gave no finite numbers."""


class Refining(ABC):
    """What every refiner can do, over networks that torch or ONNX Runtime runs.

    Attributes:
        config: the preset's settings.
        latent_channels: of a picture's latents, without coordinates.
        reduction: pixels side by side in one place of the latents.
        levels: the U-Net's resolutions, each half the one before.
    """

    config: RefinerConfig
    latent_channels: int
    reduction: int
    levels: int

    @abstractmethod
    def encode_pictures(self, views: ViewArrays) -> np.ndarray:
        """The latents (N, c, h, w) float32 of one sample of N pictures."""

    @abstractmethod
    def evaluate(self, views: ViewArrays, reference: np.ndarray | None, noise: np.ndarray, level: float) -> Refined:
        """One evaluation.

        Args:
            views: whole or cut, S x S or H x W.
            reference: (B or 1, R, c, h, w) or None.
            noise: (1, latent_channels, h, w).
            level: r in [0, 1].

        Raises:
            MemoryError: it ran out, and nothing of this call is held any more.
        """

    @property
    def in_boxes(self) -> bool:
        """Whether boxes around the heads alone are refined.

        On a GPU each shape is a graph of its own, and what the whole pictures cost more is small.
        """
        return self.config.head_only

    @property
    def size(self) -> int:
        """Pixels, the side of the square views."""
        return self.config.size

    def warm_up(self):
        """Refine one view, then two, of nothing: what happens once per shape has happened then; the log says so."""
        nothing = np.zeros((self.size, self.size, 4), np.uint8)
        view = RenderedView.empty(self.size, self.size)
        reference = self.encode_reference(nothing)
        for count in (1, 2):
            log.info("warming up the refiner %s: %d of 2", self.config.name, count)
            self.refine([view] * count, reference)
        return self

    def encode_reference(self, image: np.ndarray, place: np.ndarray | None = None) -> ReferenceState:
        """Encode the portrait once; several of the same person are `joined`.

        Args:
            image: (S, S, 4) uint8, straight alpha (the matte), S = `size`.
            place: (S, S, 3), see `RenderedView.place`; None: not known.

        Raises:
            ValueError: another size or type.
        """
        check_square(image, self.size, "the reference portrait")
        return ReferenceState(self.encode_pictures(portrait_arrays(image, place)))

    def refine(
        self,
        views: Sequence[RenderedView],
        reference: ReferenceState | None,
        noise_level: float | None = None,
        seed: int = 0,
        warn: Warn | None = None,
    ) -> list[np.ndarray]:
        """Refine V views of one sample together: `refine_batch` of this sample alone."""
        return self.refine_batch([views], reference, noise_level, seed, warn)[0]

    def refine_batch(
        self,
        samples: Sequence[Sequence[RenderedView]],
        reference: ReferenceState | Sequence[ReferenceState] | None,
        noise_level: float | None = None,
        seed: int = 0,
        warn: Warn | None = None,
    ) -> list[list[np.ndarray]]:
        """Refine several samples in one evaluation; the views of each see one another, not those of other samples.

        Args:
            samples: B samples of V raw views each, S x S.
            reference: from `encode_reference`; one for all samples, or one for each; None leaves the portrait out.
            noise_level: r in [0, 1]; the config's if None.
            seed: decides the noise; one per avatar keeps a still camera still.
            warn: told, in a sentence, when memory ran out and the batch was split, or when a view's result was not
                finite and its raw colours are returned instead; by default the log is.

        Returns:
            For each sample V images (S, S, 3) uint8 in the order of its views; alpha stays the raw view's.

        Raises:
            ValueError: a view of another size, samples of different V, a noise level outside [0, 1].
            TurboPortraitError: out_of_memory, where a single view is too much.
        """
        warn = warn or log.warning
        level = self.config.noise_level if noise_level is None else noise_level
        if not 0 <= level <= 1:
            raise ValueError(f"the noise level must be in [0, 1], not {level}")
        if len({len(sample) for sample in samples}) > 1:
            raise ValueError("all samples of a batch must have the same number of views")
        for view in (view for sample in samples for view in sample):
            check_square(view.rgba, self.size, "a view to refine")
        if not samples or not samples[0]:
            return [[] for _ in samples]
        pictures = [[view.rgba[..., :3].copy() for view in sample] for sample in samples]
        changed = [tuple(i for i, view in enumerate(sample) if not self._stays(view)) for sample in samples]
        latents = _latents(reference, len(samples))
        for views in dict.fromkeys(filter(None, changed)):
            # What one sample's views see of each other may not depend on the other samples.
            alike = [number for number, own in enumerate(changed) if own == views]
            chosen = [[samples[number][i] for i in views] for number in alike]
            own = latents if latents is None or len(latents) == 1 else latents[alike]
            for number, refined in zip(alike, self._refine_together(chosen, own, level, seed, warn), strict=True):
                for i, picture in zip(views, refined, strict=True):
                    pictures[number][i] = picture
        return pictures

    def _stays(self, view: RenderedView) -> bool:
        """Whether nothing of a view is changed, so that no network need see it. Clothes do not count as turned: only
        with `head_only` they stay, too."""
        last = self.config.last_turn
        return self.config.head_only and last is not None and bool(np.degrees(view.turned) >= last[1])

    def _refine_together(
        self,
        samples: Sequence[Sequence[RenderedView]],
        latents: np.ndarray | None,
        level: float,
        seed: int,
        warn: Warn,
    ) -> list[list[np.ndarray]]:
        """`refine_batch` where nothing is left out, with the references' latents (1 or B, R, c, h, w)."""
        refine = partial(_refine, self, level=level, seed=seed, warn=warn)
        refined, sound = refine_in_boxes(self, stack_samples(samples), latents, refine)
        if not sound.all():
            sentence = (
                f"{int((~sound).sum())} of {sound.size} views could not be refined, because the network's result was "
                "not finite: they are shown as the avatar renders them"
            )
            warn(Unrefined(sentence))
        pictures = [list(sample) for sample in refined]
        if self.config.head_only:
            pictures = [list(map(with_own_clothes, *pair)) for pair in zip(samples, pictures, strict=True)]
        return pictures


def head_boxes(refiner: Refining, views: ViewArrays, latents: np.ndarray | None) -> tuple[Boxes, Boxes | None] | None:
    """Around the heads in all views (B V of them) and references (in latents), of one size; None: whole pictures."""
    if not refiner.in_boxes:
        return None
    reach, fine = refiner.reduction, 2 ** (refiner.levels - 1)
    shown = heads_shown(views.place) & (views.rgba[..., 3] > 0)
    ours = Boxes.around(shown.reshape(-1, *shown.shape[2:]), reach * fine)
    if latents is None:
        return ours, None
    # The features' first four channels: places times the share of the pixels that know one, and that share.
    places = latents[:, :, refiner.latent_channels : refiner.latent_channels + 4]
    places = np.moveaxis(_flat(places), 1, -1)
    share = places[..., 3:4]
    # Of a portrait that knows no places any part will do.
    shown = heads_shown(UNIT * places[..., :3] / np.maximum(share, 1e-3)) & (share[..., 0] > 0)
    theirs = Boxes.around(shown, fine).grown(ours.height // reach, ours.width // reach, refiner.size // reach)
    return ours.grown(theirs.height * reach, theirs.width * reach, refiner.size), theirs


def refine_in_boxes(
    refiner: Refining,
    views: ViewArrays,
    latents: np.ndarray | None,
    refine: Callable[[ViewArrays, np.ndarray | None], Refined],
) -> Refined:
    """Refine boxes around the heads alone, where the refiner does so; around them the views stay as they are.

    Args:
        latents: of the references, (1 or B, R, c, h, w).
        refine: takes both, whole or cut, to `Refined`.

    Returns:
        Of the whole views.
    """
    boxes = head_boxes(refiner, views, latents)
    if boxes is None:
        return refine(views, latents)
    ours, theirs = boxes
    cut = ViewArrays(*(_unflat(ours.cut(_flat(x)), x) for x in views))
    if latents is not None and theirs is not None:
        latents = _unflat(theirs.cut(_flat(latents), along=2), latents)
    parts, sound = refine(cut, latents)
    refined = views.rgba[..., :3].copy()
    ours.paste(_flat(parts), _flat(refined))
    return refined, sound


def seeded_noise(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Standard normal noise (float32) that only the seed decides, on every machine."""
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def noise_for(refiner: Refining, views: ViewArrays, seed: int) -> np.ndarray:
    """(1, latent_channels, h, w) for whole views or boxes of them: the same, whatever was cut away."""
    side = refiner.size // refiner.reduction
    height, width = (pixels // refiner.reduction for pixels in views.rgba.shape[2:4])
    return seeded_noise((1, refiner.latent_channels, side, side), seed)[..., :height, :width]


def _refine(
    refiner: Refining, views: ViewArrays, reference: np.ndarray | None, level: float, seed: int, warn: Warn
) -> Refined:
    """An evaluation of whole views or boxes of them, split in two, again and again, where memory runs out."""
    try:
        return refiner.evaluate(views, reference, noise_for(refiner, views, seed), level)
    except MemoryError as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    # Outside the handler: there the traceback would still hold the memory.
    batch, of_each = views.rgba.shape[:2]
    axis, count = (0, batch) if batch > 1 else (1, of_each)
    if count == 1:
        raise TurboPortraitError("out_of_memory", reason[:200])
    what = "frames" if axis == 0 else "views, which no longer see each other,"
    warn(f"memory ran out: the batch of {count} {what} is refined in two parts ({reason[:120]})")
    halves = []
    for part in np.array_split(np.arange(count), 2):
        index = (slice(None),) * axis + (slice(part[0], part[-1] + 1),)
        latents = reference
        if axis == 0 and reference is not None and len(reference) == count:
            latents = reference[index]
        halves.append(_refine(refiner, ViewArrays(*(x[index] for x in views)), latents, level, seed, warn))
    pictures, sound = (np.concatenate(pair, axis) for pair in zip(*halves, strict=True))
    return pictures, sound


def _latents(reference: ReferenceState | Sequence[ReferenceState] | None, count: int) -> np.ndarray | None:
    """(1 or B, R, c, h, w)."""
    if reference is None:
        return None
    if isinstance(reference, ReferenceState):
        return reference.latent[None]
    if len(reference) != count:
        raise ValueError(f"there are {len(reference)} references for {count} samples")
    if len({len(state.latent) for state in reference}) > 1:
        raise ValueError("all samples of a batch must have the same number of reference images")
    return np.stack([state.latent for state in reference])


def _flat(x: np.ndarray) -> np.ndarray:
    """(B, V, ...) to (B V, ...), a view where it can be."""
    return x.reshape(-1, *x.shape[2:])


def _unflat(x: np.ndarray, like: np.ndarray) -> np.ndarray:
    return x.reshape(*like.shape[:2], *x.shape[1:])
