"""Sheets of pictures to look at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from backend.evaluation.views import view_of, with_color
from backend.people.shards import Identity
from backend.protocol.pictures import over_grey
from backend.refiner import Refiner


def identity_rows(refiner: Refiner, identity: Identity, most: int = 3) -> np.ndarray:
    """Portrait, then raw, refined and true for some views: one row (S, S (1 + 3 n), 3) uint8."""
    last = len(identity.raw) - 1
    views = np.unique(np.linspace(min(2, last), last, min(most, last)).round().astype(int))
    chosen = [view_of(identity, k) for k in views]
    refined = refiner.refine(
        chosen, refiner.encode_reference(identity.reference, identity.place[0]), seed=identity.seed
    )
    row = [over_grey(identity.reference)]
    for k, view, color in zip(views, chosen, refined, strict=True):
        row += [over_grey(view.rgba), over_grey(with_color(view.rgba, color)), over_grey(identity.truth[k])]
    return np.hstack(row).astype(np.uint8)


def stacked(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Pictures under one another, the narrower ones padded."""
    width = max(row.shape[1] for row in rows)
    return np.vstack([np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0)), constant_values=255) for row in rows])
