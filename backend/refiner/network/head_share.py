"""Refining head and neck alone: what is changed ends at the shoulders."""

from __future__ import annotations

import torch

from backend.refiner.head_space import BESIDE, CHIN, NECK, UNIT


def head_share(places: torch.Tensor) -> torch.Tensor:
    """How much of a change is made, by where on the head pixels lie.

    Args:
        places: (..., 3, H, W) from `coordinates.scaled_places`.

    Returns:
        (..., 1, H, W) in [0, 1]; 1 everywhere in a picture that knows no place at all.
    """
    shown = (places != 0).any(-3, keepdim=True)
    aside, height = places[..., :1, :, :].abs(), places[..., 1:2, :, :]
    neck = 1 - _risen(aside, BESIDE)
    share = torch.maximum(_risen(height, CHIN), neck * _risen(height, NECK)) * shown
    return torch.where(shown.any((-2, -1), keepdim=True), share, 1.0)


def _risen(values: torch.Tensor, between: tuple[float, float]) -> torch.Tensor:
    """From 0 to 1, linearly, where values in units rise between two lengths in metres."""
    low, high = (metres / UNIT for metres in between)
    return ((values - low) / (high - low)).clamp(0, 1)
