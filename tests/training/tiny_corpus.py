"""A corpus of coloured discs: the right format, made in no time."""

from pathlib import Path

import numpy as np

from backend.people.shards import FORMAT


def write_tiny_corpus(folder: Path, seeds: range, size: int = 32, views: int = 3) -> None:
    """True views are stripes, raw ones their mean; the confidence falls from left to right."""
    folder.mkdir(parents=True, exist_ok=True)
    y, x = np.mgrid[:size, :size]
    place = np.stack([x / size - 0.5, y / size - 0.5, np.full((size, size), 0.1)], -1).astype(np.float16)
    disc = (np.hypot(x - size / 2, y - size / 2) < 0.4 * size).astype(np.uint8) * 255
    for seed in seeds:
        rng = np.random.default_rng(seed)
        truth = np.zeros((views, size, size, 4), np.uint8)
        truth[..., :3] = (128 + 60 * np.sin(0.8 * x) + rng.uniform(-30, 30, (views, 1, 1)))[..., None]
        truth[..., 3] = disc
        raw = truth.copy()
        raw[..., :3] = truth[..., :3].mean((1, 2), keepdims=True)
        confidence = np.broadcast_to((255 * (1 - x / size)).astype(np.uint8), (views, size, size))
        np.savez_compressed(
            folder / f"identity_{seed:06d}.npz",
            format=FORMAT,
            reference=truth[0],
            raw=raw,
            truth=truth,
            confidence=confidence,
            head=np.broadcast_to(disc, (views, size, size)),
            angles=np.zeros((views, 2), np.float32),
            place=np.broadcast_to(place * (disc[..., None] > 0), (views, size, size, 3)),
            warped=raw[..., :3],
        )
