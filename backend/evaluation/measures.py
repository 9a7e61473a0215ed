"""All measures of the tables: which there are, and why some are not."""

from __future__ import annotations

import importlib.util
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from backend.evaluation.regions import REGIONS, UNIONS, WHOLE, overlap, with_unions
from backend.metrics.identity import ArcFace, Dlib, Recogniser
from backend.metrics.inception import INCEPTION_FILE, Inception
from backend.metrics.lpips import BACKBONES, Lpips
from backend.metrics.psnr_ssim import PEAK, ssim_map
from backend.metrics.published_weights import checkpoints
from backend.tracking.landmarks import find_landmarks

HIGHER_IS_BETTER = ("PSNR", "SSIM", "IoU", "ID", "ID portrait")


def flip_map(picture: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """LDR-FLIP per pixel (Andersson et al. 2020), (H, W) in [0, 1], at its default 67 pixels per degree.

    Args:
        picture, truth: (H, W, 3) in [0, 255], sRGB.
    """
    import flip_evaluator

    a, b = (np.ascontiguousarray(np.clip(image / PEAK, 0, 1), np.float32) for image in (truth, picture))
    return flip_evaluator.evaluate(a, b, "LDR", applyMagma=False, computeMeanError=False)[0][..., 0]


@dataclass
class Measures:
    """The measures at hand; those that are not, with what is missing.

    Attributes:
        flip: whether FLIP can be taken.
        lpips: None where its backbone's weights are not there.
        recogniser: for the identity; None where there is none.
        inception: FID's network; None where its weights are not there.
        missing: measure to what would have to be there.
    """

    flip: bool = True
    lpips: Lpips | None = None
    recogniser: Recogniser | None = None
    inception: Inception | None = None
    missing: dict[str, str] = field(default_factory=dict)

    @classmethod
    def at_hand(cls) -> Measures:
        """What this machine has; weights are looked for in torch hub's folder of checkpoints.

        Raises:
            TurboPortraitError: `training_weights`: a file of weights is there, but not what its name says.
        """
        folder = checkpoints()
        found = cls(flip=importlib.util.find_spec("flip_evaluator") is not None)
        if not found.flip:
            found.missing["FLIP"] = "the package flip-evaluator (pip install 'turboportrait3d[evaluation]')"
        packages = "the package torchmetrics (pip install 'turboportrait3d[evaluation]') and " * (
            importlib.util.find_spec("torchmetrics") is None
        )
        if not packages and (folder / BACKBONES["vgg"].file).is_file():
            found.lpips = Lpips.load(net="vgg")
        else:
            found.missing["LPIPS"] = f"{packages}torchvision's weights as {folder / BACKBONES['vgg'].file}"
        arcface, dlib = ArcFace.load(folder), Dlib.load()
        if isinstance(arcface, str):
            found.missing["ID by ArcFace"] = arcface
        if isinstance(dlib, str):
            found.missing["ID by dlib"] = dlib
        found.recogniser = next((r for r in (arcface, dlib) if not isinstance(r, str)), None)
        if not packages and (folder / INCEPTION_FILE).is_file():
            found.inception = Inception.load(folder / INCEPTION_FILE)
        else:
            found.missing["FID"] = f"{packages}torch-fidelity's weights as {folder / INCEPTION_FILE}"
        # Reports are shown to others: whose machine it was is not theirs to know.
        found.missing = {name: what.replace(str(Path.home()), "~") for name, what in found.missing.items()}
        return found

    def pixel_maps(self, picture: np.ndarray, truth: np.ndarray) -> dict[str, np.ndarray]:
        """(H, W) maps of pictures (H, W, 3) in [0, 255]: squared error of colours in [0, 1], SSIM, FLIP."""
        maps = {"L2": (((picture - truth) / PEAK) ** 2).mean(2), "SSIM": ssim_map(picture, truth)}
        return maps | ({"FLIP": flip_map(picture, truth)} if self.flip else {})

    def distances(self, picture: np.ndarray, truth: np.ndarray, masks: Mapping[str, np.ndarray]) -> dict[str, float]:
        """LPIPS inside masks (H, W) bool, those that are not empty."""
        shown = {name: torch.from_numpy(mask)[None, None].float() for name, mask in masks.items() if mask.any()}
        if self.lpips is None:
            return {}
        a, b = (torch.from_numpy(image / 127.5 - 1).float().movedim(2, 0)[None] for image in (picture, truth))
        with torch.inference_mode():
            found = self.lpips.distances(a, b, list(shown.values()))
        return {name: float(value) for name, value in zip(shown, found, strict=True)}

    def likeness(
        self, pictures: Mapping[str, np.ndarray], truth: np.ndarray, portrait: np.ndarray | None
    ) -> dict[str, dict[str, float]]:
        """Cosines of embeddings, per method: "ID" with the true view, "ID portrait" with the portrait's embedding (D,).

        Empty where the true view shows no face that is found.
        """
        if self.recogniser is None:
            return {}
        landmarks = find_landmarks(np.rint(truth).astype(np.uint8))
        if landmarks is None:
            return {}
        images = [np.rint(image).astype(np.uint8) for image in (truth, *pictures.values())]
        own, *others = self.recogniser.embed(images, landmarks)
        result = {}
        for method, embedding in zip(pictures, others, strict=True):
            result[method] = {"ID": float(own @ embedding)}
            if portrait is not None:
                result[method]["ID portrait"] = float(portrait @ embedding)
        return result

    def embedding(self, picture: np.ndarray) -> np.ndarray | None:
        """The portrait's (D,), from a picture (H, W, 3) in [0, 255]."""
        image = np.rint(picture).astype(np.uint8)
        if self.recogniser is None or (landmarks := find_landmarks(image)) is None:
            return None
        return self.recogniser.embed([image], landmarks)[0]


class Tally:
    """Measures pooled over views: maps over all pixels of a region, other values over views.

    Likenesses are of whole views, and stand with both unions of regions.
    """

    def __init__(self, measures: Measures) -> None:
        self.measures = measures
        self.views = 0
        self._sums: dict[tuple[str, str, str], list[float]] = defaultdict(lambda: [0.0, 0.0])

    def add(
        self,
        pictures: Mapping[str, np.ndarray],
        truth: np.ndarray,
        masks: Mapping[str, np.ndarray],
        portrait: np.ndarray | None = None,
        own: Mapping[str, Mapping[str, np.ndarray]] | None = None,
    ) -> None:
        """Take one view's pictures (H, W, 3) in [0, 255] in, each a method's; `portrait` as to `likeness`.

        Args:
            own: masks of methods that have outlines of their own.
        """
        self.views += 1
        for method, picture in pictures.items():
            maps = self.measures.pixel_maps(picture, truth)
            regions = with_unions((own or {}).get(method, masks))
            for region, mask in regions.items():
                for measure, values in maps.items():
                    self._count(method, region, measure, values[mask].sum(), mask.sum())
            for region, distance in self.measures.distances(picture, truth, regions).items():
                self._count(method, region, "LPIPS", distance, 1)
        for method, likeness in self.measures.likeness(pictures, truth, portrait).items():
            for measure, value in likeness.items():
                for region in UNIONS:
                    self._count(method, region, measure, value, 1)

    def add_outline(
        self, method: str, alpha: np.ndarray, true_alpha: np.ndarray, masks: Mapping[str, np.ndarray]
    ) -> None:
        """Take a view's outline in: intersection over union, pooled over pixels as all else. As `overlap`."""
        self._count(method, WHOLE, "IoU", *overlap(alpha, true_alpha, masks))

    def merge(self, other: Tally) -> None:
        """Take another tally's views in."""
        self.views += other.views
        for (method, region, measure), (total, count) in other._sums.items():
            self._count(method, region, measure, total, count)

    def set(self, method: str, measure: str, value: float) -> None:
        """A value of its own, of whole views."""
        for region in UNIONS:
            self._sums[method, region, measure] = [value, 1]

    def table(self) -> dict[str, dict[str, dict[str, float]]]:
        """region -> method -> measure -> value; PSNR from the pooled squared error, dB."""
        result: dict = {region: {} for region in (*UNIONS, *REGIONS)}
        for (method, region, measure), (total, count) in self._sums.items():
            if count:
                values = result[region].setdefault(method, {})
                values[measure] = total / count
                if measure == "L2":
                    values["PSNR"] = float("inf") if total == 0 else -10 * np.log10(total / count)
        return result

    def _count(self, method: str, region: str, measure: str, total: float, count: float) -> None:
        slot = self._sums[method, region, measure]
        slot[0] += float(total)
        slot[1] += float(count)
