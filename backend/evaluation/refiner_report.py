"""The refiner's report: three regions, beside raw and two blurs, with and without the reference, and real portraits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from backend.evaluation.metrics import psnr_of, squared_error, ssim_map
from backend.evaluation.regions import CONFIDENT, REGIONS, regions_of
from backend.evaluation.views import BLURS, baselines, over_grey, view_of, with_color
from backend.refiner import Refiner
from backend.training.corpus import Identity

METHODS = ("raw", *BLURS, "refined", "no reference")


@dataclass
class Scores:
    """Errors pooled over all pixels of a kind of view, by region and method.

    Attributes:
        squares: (region, method) -> [sum of squared errors, values]; structure: -> [sum of SSIM, pixels].
    """

    squares: dict[tuple[str, str], list[float]] = field(default_factory=lambda: defaultdict(lambda: [0.0, 0]))
    structure: dict[tuple[str, str], list[float]] = field(default_factory=lambda: defaultdict(lambda: [0.0, 0]))
    views: int = 0

    def add(self, pictures: dict[str, np.ndarray], truth: np.ndarray, masks: dict[str, np.ndarray]) -> None:
        """Take one view's pictures (H, W, 3) in, each a method's."""
        self.views += 1
        for method, picture in pictures.items():
            similarity = ssim_map(picture, truth)
            for region, mask in masks.items():
                total, count = squared_error(picture, truth, mask)
                _accumulate(self.squares[region, method], total, count)
                _accumulate(self.structure[region, method], float(similarity[mask].sum()), int(mask.sum()))

    def table(self) -> dict[str, dict[str, dict[str, float]]]:
        """region -> method -> {"psnr", "ssim", "share" of the pixels}."""
        pixels = sum(self.structure[region, "raw"][1] for region in REGIONS)
        return {
            region: {
                method: {
                    "psnr": psnr_of(*self.squares[region, method]),
                    "ssim": self.structure[region, method][0] / max(self.structure[region, method][1], 1),
                    "share": self.structure[region, method][1] / max(pixels, 1),
                }
                for method in METHODS
                if (region, method) in self.squares
            }
            for region in REGIONS
        }


def judge_identities(
    refiner: Refiner, identities: Iterable[Identity], done: Callable[[], None] = lambda: None
) -> Scores:
    """Score held-out identities, the views of each refined in pairs as in use; the portrait's own view is left out."""
    scores = Scores()
    for identity in identities:
        reference = refiner.encode_reference(identity.reference)
        grey = refiner.encode_reference(np.zeros_like(identity.reference))
        count = len(identity.raw)
        for pair in (range(i, min(i + 2, count)) for i in range(1, count, 2)):
            views = [view_of(identity, k) for k in pair]
            with_reference = refiner.refine(views, reference, seed=identity.seed)
            without = refiner.refine(views, grey, seed=identity.seed)
            for k, view, refined, blind in zip(pair, views, with_reference, without, strict=True):
                pictures = baselines(view.rgba) | {
                    "refined": over_grey(with_color(view.rgba, refined)),
                    "no reference": over_grey(with_color(view.rgba, blind)),
                }
                truth = identity.truth[k]
                masks = regions_of(view.rgba[..., 3], truth[..., 3], identity.head[k], view.confidence)
                scores.add(pictures, over_grey(truth), masks)
        done()
    return scores


def judge_portrait(refiner: Refiner, avatar, reference: np.ndarray) -> dict[str, float]:
    """Refine a real portrait's own view; the portrait itself is the truth, inside its matte.

    Args:
        avatar: registered from the portrait.
        reference: (S, S, 4) uint8, the portrait at the refiner's size with its matte.

    Returns:
        PSNR in dB of raw and refined against the portrait, over all and where the photo is confident; and how far
        refined is from raw there.
    """
    tracked = avatar.tracked
    camera = tracked.camera.crop(0, 0, tracked.camera.width, refiner.size)
    view = avatar.render([camera], tracked.parameters)[0]
    refined = refiner.refine([view, view], refiner.encode_reference(reference))[0]
    inside = (reference[..., 3] > 250) & (view.rgba[..., 3] > 250)
    masks = {"all": inside, "confident": inside & (view.confidence >= CONFIDENT)}
    portrait = reference[..., :3]
    result = {}
    for name, mask in masks.items():
        result[f"raw {name}"] = psnr_of(*squared_error(view.rgba[..., :3], portrait, mask))
        result[f"refined {name}"] = psnr_of(*squared_error(refined, portrait, mask))
    return result


def _accumulate(slot: list[float], total: float, count: int) -> None:
    slot[0] += total
    slot[1] += count
