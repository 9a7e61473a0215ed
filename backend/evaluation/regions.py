"""The three regions that a refined view is judged in apart: one figure over all of them misleads."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.ndimage import binary_erosion, distance_transform_edt

CONFIDENT = 0.5
"""Photo confidence from which on a pixel counts as seen by the photo."""
RIM = 3
"""Pixels: the silhouette is so wide on either side."""
REGIONS = ("confident", "doubtful", "silhouette")
INSIDE = "inside"
"""Head and neck inside both silhouettes: what a refiner can mend."""
WHOLE = "all"
"""Head and neck with the rims of their outlines."""
UNIONS = {INSIDE: ("confident", "doubtful"), WHOLE: REGIONS}


def regions_of(
    raw_alpha: np.ndarray, true_alpha: np.ndarray, head: np.ndarray, confidence: np.ndarray
) -> dict[str, np.ndarray]:
    """Masks (H, W) bool by name.

    "confident" and "doubtful" are head and neck inside both silhouettes, away from their rims, by the photo's
    confidence; "silhouette" is the rims of head and neck and whatever only one of the two covers.

    Args:
        raw_alpha, true_alpha: (H, W) uint8; head: (H, W) uint8 or float, > half where the truth shows head or neck.
        confidence: (H, W) in [0, 1].
    """
    raw, true = raw_alpha > 127, true_alpha > 127
    core = binary_erosion(raw, iterations=RIM) & binary_erosion(true, iterations=RIM)
    shown = head > head.dtype.type(127 if head.dtype == np.uint8 else 0.5)
    # The raw view's excess over the truth is nobody's head; it counts where the head is nearest.
    nearest = distance_transform_edt(~true, return_distances=False, return_indices=True)
    rim = (raw | true) & ~core & shown[tuple(nearest)] & true.any()
    return {
        "confident": core & shown & (confidence >= CONFIDENT),
        "doubtful": core & shown & (confidence < CONFIDENT),
        "silhouette": rim,
    }


def overlap(raw_alpha: np.ndarray, true_alpha: np.ndarray, masks: Mapping[str, np.ndarray]) -> tuple[int, int]:
    """Pixels in both silhouettes, and in either, of those that the regions count: of heads, not of clothes.

    Args:
        raw_alpha, true_alpha: (H, W) uint8. masks: of `regions_of` these two.
    """
    either = np.any([masks[part] for part in REGIONS], axis=0)
    return int((either & (raw_alpha > 127) & (true_alpha > 127)).sum()), int(either.sum())


def with_unions(masks: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The unions, then the regions themselves."""
    return {name: np.any([masks[part] for part in parts], axis=0) for name, parts in UNIONS.items()} | dict(masks)
