"""Doubt about large changes. Where a pixel of the truth may show another thing than the raw view's, a cheek in place of
the hair before it, least squares answers with their mean: a haze. Such changes are large, toning is small."""

from __future__ import annotations

import torch


def doubt_outliers(correction: torch.Tensor, scale: float) -> torch.Tensor:
    """Changes of colour (B, V, 3, H, W), the less of them the larger they are: Cauchy's influence function.

    c / (1 + |c|² / scale²), as robust statistics weight residuals (Black and Rangarajan 1996, "On the unification of
    line processes, outlier rejection, and robust statistics"). What is not finite does not become so.

    Args:
        scale: the length of a change, in the units of `correction`, of which half stays; none stays longer.
    """
    return correction / (1 + (correction / scale).square().sum(2, keepdim=True))
