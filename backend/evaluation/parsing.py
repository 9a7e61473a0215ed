"""How well regions and mattes are found: overlap of classes, boundaries, alpha and the person's own colour."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

BAND = 5
"""Pixels by which a trimap's unknown band is wider than what is neither wholly person nor wholly not."""
TOLERANCE = 2
"""Pixels that a boundary may be off."""


class Overlap:
    """Intersection over union per class, pooled over all pixels of all pictures.

    Args:
        classes: names, in the order of the labels.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = tuple(classes)
        self._counts = np.zeros((len(classes), len(classes)), np.int64)

    def add(self, found: np.ndarray, truth: np.ndarray) -> None:
        """Count labels (...) uint8; where the truth is no class, nothing is counted."""
        known = truth < len(self.classes)
        pairs = truth[known].astype(np.int64) * len(self.classes) + found[known]
        self._counts += np.bincount(pairs, minlength=self._counts.size).reshape(self._counts.shape)

    def table(self) -> dict[str, float]:
        """By class, without those that neither the truth nor what was found shows."""
        both = np.diag(self._counts)
        either = self._counts.sum(0) + self._counts.sum(1) - both
        return {name: float(b / e) for name, b, e in zip(self.classes, both, either, strict=True) if e}


def intersection_over_union(a: np.ndarray, b: np.ndarray) -> float:
    """Of two masks, bool; 1 where both are empty."""
    either = (a | b).sum()
    return float((a & b).sum() / either) if either else 1.0


def boundary_f(found: np.ndarray, truth: np.ndarray, tolerance: float = TOLERANCE) -> float:
    """F measure of two masks' boundaries (Csurka et al. 2013): their points count that the other's are near to.

    Args:
        found, truth: (H, W) bool, the truth not empty. tolerance: pixels.
    """
    edges = [_edge(mask) for mask in (found, truth)]
    if not edges[0].any():
        return 0.0
    near = [cv2.distanceTransform((~edge).astype(np.uint8), cv2.DIST_L2, 5) <= tolerance for edge in edges]
    precision, recall = near[1][edges[0]].mean(), near[0][edges[1]].mean()
    return float(2 * precision * recall / max(precision + recall, 1e-9))


def _edge(mask: np.ndarray) -> np.ndarray:
    inner = cv2.erode(mask.astype(np.uint8), np.ones((3, 3)), borderType=cv2.BORDER_REPLICATE)
    return mask & (inner == 0)


def unknown_band(alpha: np.ndarray) -> np.ndarray:
    """(H, W) bool: the unknown part of a true alpha's trimap."""
    mixed = ((alpha > 0.02) & (alpha < 0.98)) | _edge(alpha > 0.5)
    return cv2.dilate(mixed.astype(np.uint8), np.ones((2 * BAND + 1,) * 2)) > 0


def alpha_error(found: np.ndarray, truth: np.ndarray, valid: np.ndarray) -> float:
    """Sum of absolute differences in the unknown band, in thousands of pixels (Rhemann et al. 2009)."""
    return float(np.abs(found - truth)[unknown_band(truth) & valid].sum() / 1000)


def colour_error(found: np.ndarray, truth: np.ndarray, alpha: np.ndarray, valid: np.ndarray) -> float:
    """Mean absolute difference of colours (H, W, 3), levels of 255, where the true alpha is mixed; nan if nowhere."""
    mixed = (alpha > 0.05) & (alpha < 0.95) & valid
    return float(np.abs(found[mixed].astype(float) - truth[mixed]).mean()) if mixed.any() else float("nan")
