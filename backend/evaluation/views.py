"""Views as they are compared: beside blurs of themselves."""

from __future__ import annotations

import cv2
import numpy as np

from backend.avatars.base import RenderedView
from backend.people.shards import Identity
from backend.protocol.pictures import over_grey

BLURS = {"blur 1.5": 1.5, "blur 3": 3.0}
"""Baselines: the raw view blurred; what does not beat them has learnt to blur."""
REFINED, BLIND, UNATTENDED = "refined", "refined without the reference", "refined, attention without the reference"
"""BLIND knows the portrait neither from attention nor by its warp, UNATTENDED by its warp alone."""


def with_color(rgba: np.ndarray, color: np.ndarray) -> np.ndarray:
    """A view (H, W, 4) in other colours (H, W, 3)."""
    return np.concatenate([color, rgba[..., 3:]], -1)


def baselines(rgba: np.ndarray) -> dict[str, np.ndarray]:
    """The raw view (H, W, 4) over grey, and its blurs."""
    raw = over_grey(rgba)
    return {"raw": raw} | {name: cv2.GaussianBlur(raw, (0, 0), sigma) for name, sigma in BLURS.items()}


def view_of(identity: Identity, index: int) -> RenderedView:
    """A raw view of a shard; its depth was not kept."""
    depth = np.full(identity.raw.shape[1:3], np.inf, np.float32)
    return RenderedView(
        identity.raw[index],
        depth,
        identity.confidence[index] / np.float32(255),
        identity.turned[index],
        place=identity.place[index].astype(np.float32),
        warped=identity.warped[index],
    )
