"""Faces in a photo by MediaPipe's two detectors: one for near faces, one for small ones (Bazarevsky et al. 2019).

Around each of them as in MediaPipe's graphs `face_detection_short_range_cpu` and `face_detection_full_range_cpu`:
single-shot anchors, scores, and non-maximum suppression that averages.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from backend.tracking.face_models import face_model
from backend.tracking.rois import Roi

SUPPRESSED = 0.3
"""Intersection over union from which two boxes are one face."""
MAX_LOGIT = 100.0
RIGHT_EYE, LEFT_EYE, NOSE, MOUTH = range(4)
"""Of the detectors' six points; the last two are the ears."""


@dataclass(frozen=True, eq=False)
class Detector:
    """One of the two.

    Attributes:
        model: the file's name.
        size: pixels of its square input.
        grids: stride in pixels, and anchors at each place of that grid.
    """

    model: str
    size: int
    grids: tuple[tuple[int, int], ...]

    @cached_property
    def anchors(self) -> np.ndarray:
        """(A, 2): their middles in pixels of the input."""
        middles = []
        for stride, count in self.grids:
            line = (np.arange(self.size // stride) + 0.5) * stride
            middles.append(np.repeat(np.stack(np.meshgrid(line, line), -1).reshape(-1, 2), count, axis=0))
        return np.concatenate(middles)

    def __call__(self, photo: np.ndarray, least_score: float) -> tuple[np.ndarray, np.ndarray]:
        """The faces of a photo (H, W, 3) uint8, the surest first.

        Returns:
            Scores (n,) in [0, 1]; and (n, 8, 2), pixels of the photo: the box's first and last corner and six points:
            the person's right and left eye, nose, mouth, right and left ear.
        """
        height, width = photo.shape[:2]
        whole = Roi(np.array([width, height]) / 2, float(max(width, height)), 0.0)
        pixels = whole.cut(photo, self.size, cv2.BORDER_CONSTANT).astype(np.float32) / 127.5 - 1
        found = face_model(self.model)(image=pixels[None])
        logits = np.clip(found["scores"].reshape(-1), -MAX_LOGIT, MAX_LOGIT).astype(float)
        scores = 1 / (1 + np.exp(-logits))
        sure = scores >= least_score
        values = found["boxes"].reshape(-1, 8, 2)[sure].astype(float)
        middle, extent = values[:, :1] + self.anchors[sure, None], values[:, 1:2]
        # The middle and extent of the box, then the points from the anchor.
        points = np.concatenate(
            [middle - extent / 2, middle + extent / 2, values[:, 2:] + self.anchors[sure, None]], axis=1
        )
        scores, points = suppress(scores[sure], points)
        matrix = whole.to_photo(self.size)
        return scores, points @ matrix[:, :2].T + matrix[:, 2]


NEAR = Detector("face_detection_short_range", 128, ((8, 2), (16, 6)))
FAR = Detector("face_detection_full_range", 192, ((4, 1),))


def suppress(scores: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Join what is one face: the surest box stands for all that overlap it, at the mean place weighted by score.

    Args:
        scores: (n,). points: (n, k, 2), the box's first and last corner first.

    Returns:
        Scores (m,), the surest first, and points (m, k, 2).
    """
    left = np.argsort(-scores, kind="stable")
    kept_scores, kept = [], []
    while len(left):
        same = overlap(points[left[0], :2], points[left, :2]) > SUPPRESSED
        same[0] = True
        weights = scores[left[same]]
        kept_scores.append(weights[0])
        kept.append(np.einsum("n,nkc->kc", weights, points[left[same]]) / weights.sum())
        left = left[~same]
    return np.array(kept_scores), np.array(kept).reshape(-1, *points.shape[1:])


def overlap(box: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Intersection over union (n,) of a box (2, 2), its first and last corner, with boxes (n, 2, 2)."""
    sides = np.minimum(box[1], boxes[:, 1]) - np.maximum(box[0], boxes[:, 0])
    common = np.maximum(sides, 0).prod(-1)
    union = (box[1] - box[0]).prod() + (boxes[:, 1] - boxes[:, 0]).prod(-1) - common
    return common / np.maximum(union, 1e-9)
