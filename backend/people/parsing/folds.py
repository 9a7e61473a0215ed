"""The folds of a cross-validation over portraits: each run leaves out one."""

from __future__ import annotations

from collections.abc import Sequence

FOLDS = 5
"""Of the portraits, unless a configuration says otherwise."""


def fold_of(name: str, names: Sequence[str], folds: int) -> int:
    """The fold in which a portrait is left out: they are dealt by turns, in the order of their names."""
    return sorted(names).index(name) % folds
