"""The same few samples refined again and again, so that a run's progress can be seen."""

from __future__ import annotations

import msgspec
import numpy as np
import torch

from backend.people.shards import Identity
from backend.training.config import SampleConfig
from backend.training.samples import Batch, draw_samples


def draw_preview(identities: list[Identity], config: SampleConfig) -> Batch:
    """A sample of each identity, as users' pictures are: nothing is taken away, and no view is the portrait's own."""
    plain = msgspec.structs.replace(config, portrait_view=0.0, dropped=0.0, unplaced=0.0)
    return draw_samples(identities, plain, np.random.default_rng(0))


def picture_grid(batch: Batch, refined: torch.Tensor) -> np.ndarray:
    """A row per view: raw, refined, truth, reference.

    Args:
        batch: B samples of V views, S x S.
        refined: (B, V, 3, S, S) in [-1, 1].

    Returns:
        (B V S, 4 S, 3) uint8.
    """
    reference = batch.reference.color[:, None].expand_as(batch.truth)
    columns = torch.stack([batch.views.color, refined, batch.truth, reference])
    pixels = ((columns + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    # (column, sample, view, channel, row, pixel) to (sample, view, row, column, pixel, channel).
    return pixels.permute(1, 2, 4, 0, 5, 3).reshape(-1, 4 * pixels.shape[-1], 3).numpy()
