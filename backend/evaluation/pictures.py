"""Sheets of pictures to look at."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from backend.evaluation.views import over_grey, view_of, with_color
from backend.refiner import Refiner
from backend.training.corpus import Identity
from backend.training.synthetic.pairs import orbit, reference_image

YAWS = (-45, -30, -15, 0, 15, 30, 45)


def identity_rows(refiner: Refiner, identity: Identity, most: int = 3) -> np.ndarray:
    """Portrait, then raw, refined and true for some views: one row (S, S (1 + 3 n), 3) uint8."""
    last = len(identity.raw) - 1
    views = np.unique(np.linspace(min(2, last), last, min(most, last)).round().astype(int))
    chosen = [view_of(identity, k) for k in views]
    refined = refiner.refine(chosen, refiner.encode_reference(identity.reference), seed=identity.seed)
    row = [over_grey(identity.reference)]
    for k, view, color in zip(views, chosen, refined, strict=True):
        row += [over_grey(view.rgba), over_grey(with_color(view.rgba, color)), over_grey(identity.truth[k])]
    return np.hstack(row).astype(np.uint8)


def portrait_rows(refiner: Refiner, avatar) -> np.ndarray:
    """Raw above refined for several yaws of a registered portrait: (2 S, S n, 3) uint8."""
    reference = reference_image(avatar, refiner.size)
    state = refiner.encode_reference(reference)
    camera, center = avatar.tracked.camera, avatar.tracked.vertices.mean(0)
    cameras = [orbit(camera, center, yaw, 0).crop(0, 0, camera.width, refiner.size) for yaw in YAWS]
    raw = avatar.render(cameras, avatar.tracked.parameters)
    refined = [refiner.refine([view], state)[0] for view in raw]
    above = np.hstack([over_grey(view.rgba) for view in raw])
    below = np.hstack([over_grey(with_color(view.rgba, color)) for view, color in zip(raw, refined, strict=True)])
    return np.vstack([above, below]).astype(np.uint8)


def save(picture: np.ndarray, path: Path) -> None:
    """Write a picture; its suffix tells the format."""
    Image.fromarray(picture).save(path, quality=92)
