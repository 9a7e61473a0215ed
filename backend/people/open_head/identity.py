"""The identity basis: principal components over many sampled heads."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from backend.people.open_head.source import BodySource

NUM_SAMPLES, NUM_COMPONENTS, BATCH = 1200, 100, 40
LOCAL_CHANGE_SD = 0.35
SIDES_AGREE = 0.9
"""Correlation of a left-hand change with its right-hand twin: faces are nearly symmetric, not quite."""


def sample_heads(
    source: BodySource, cut: Callable[[np.ndarray], np.ndarray], rng: np.random.Generator, count: int = NUM_SAMPLES
) -> np.ndarray:
    """Heads (count, V, 3) of random people: phenotype and local changes drawn independently.

    Args:
        cut: body vertices (n, N, 3) to aligned head vertices (n, V, 3).
    """
    return np.concatenate([cut(_sample_bodies(source, rng, min(BATCH, count - i))) for i in range(0, count, BATCH)])


def _sample_bodies(source: BodySource, rng: np.random.Generator, n: int) -> np.ndarray:
    phenotype, changes = draw_bodies(source, rng, n)
    return source.rest_vertices(phenotype, changes)


def draw_bodies(
    source: BodySource, rng: np.random.Generator, n: int
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Phenotype and local changes of n random people, each (n,) by name, as `BodySource.rest_vertices` takes them."""
    races = rng.dirichlet(np.full(3, 0.7), n)
    phenotype = {
        "gender": rng.uniform(0, 1, n),
        # Mostly adults, some teenagers, some old.
        "age": np.clip(0.72 + 0.14 * rng.standard_normal(n), 0.42, 1.0),
        "african": races[:, 0],
        "asian": races[:, 1],
        "caucasian": races[:, 2],
        **{
            name: np.clip(0.5 + sd * rng.standard_normal(n), 0, 1)
            for name, sd in {"muscle": 0.18, "weight": 0.2, "height": 0.12, "proportions": 0.2, "cupsize": 0.1}.items()
        },
    }
    changes: dict[str, np.ndarray] = {}
    for name in source.local_change_names:
        if name.startswith("r-"):
            continue
        common = rng.standard_normal(n)
        changes[name] = common
        if name.startswith("l-"):
            twin = "r-" + name[2:]
            changes[twin] = SIDES_AGREE * common + np.sqrt(1 - SIDES_AGREE**2) * rng.standard_normal(n)
    changes = {name: np.clip(LOCAL_CHANGE_SD * values, -1, 1) for name, values in changes.items()}
    return phenotype, changes


def principal_components(
    heads: np.ndarray, vertex_weight: np.ndarray, count: int = NUM_COMPONENTS
) -> tuple[np.ndarray, np.ndarray, float]:
    """The mean, and the main directions of variation: size alone first, then shape at equal size.

    One photo cannot tell a small near head from a large far one; kept apart from shape, size stays at its mean when a
    head is fitted, and drags no child's or giant's features with it.

    Args:
        heads: (n, V, 3).
        vertex_weight: (V,) what a squared millimetre counts at each vertex.

    Returns:
        The mean (V, 3); the directions (V, 3, count), scaled so that a coefficient of 1 is one standard deviation;
        the share of the weighted variance of shape that they hold.
    """
    weight = np.repeat(vertex_weight / vertex_weight.sum(), 3)
    flat = heads.reshape(len(heads), -1).astype(float)
    size = np.sqrt((flat**2) @ weight)
    flat = flat * (size.mean() / size)[:, None]
    mean = flat.mean(0)
    centred = flat - mean
    U, singular, _ = np.linalg.svd(centred * np.sqrt(weight), full_matrices=False)
    scores = U[:, : count - 1] * np.sqrt(len(heads))
    # Regressed on the scores, so that vertices of small weight keep their whole movement.
    shape = scores.T @ centred / len(heads)
    directions = np.concatenate([mean[None] * (size.std() / size.mean()), shape])
    share = float((singular[: count - 1] ** 2).sum() / (singular**2).sum())
    return mean.reshape(heads.shape[1:]), directions.T.reshape(*heads.shape[1:], len(directions)), share
