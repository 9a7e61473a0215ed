from dataclasses import replace

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from backend.refiner.network.detail import RESOLVED, keep_detail, lasting_detail
from backend.refiner.network.images import CHANNELS, NetworkViews
from tests.refiner.tiny_refiners import random_view, tiny_refiner

CHECKS = (torch.arange(32)[:, None] + torch.arange(32)) % 2 * 2.0 - 1
"""The finest detail there is."""
SLOPE = torch.linspace(-1, 1, 32).expand(32, 32)


def kept(
    correction: torch.Tensor, confidence: float, shown: torch.Tensor | None = None, share=1.0, place=0.0
) -> torch.Tensor:
    correction = correction.expand(1, 1, 3, 32, 32)
    shown = torch.ones(32, 32) if shown is None else shown
    places = torch.full((1, 1, 3, 32, 32), place)
    lasting = lasting_detail(torch.full((1, 1, 1, 32, 32), confidence), places)
    return keep_detail(correction, shown.expand(1, 1, 1, 32, 32), lasting, share)[0, 0, 0]


def test_where_the_photo_resolved_it_detail_stays_and_tones_change():
    sure = kept(SLOPE + CHECKS, RESOLVED[1])
    assert (sure - SLOPE)[4:-4, 4:-4].abs().max() < 0.05
    torch.testing.assert_close(kept(SLOPE + CHECKS, RESOLVED[0]), SLOPE + CHECKS)
    half = kept(CHECKS, sum(RESOLVED) / 2)
    torch.testing.assert_close(half, (kept(CHECKS, 1.0) + CHECKS) / 2)
    torch.testing.assert_close(kept(CHECKS, 1.0, share=0.5), half)


def test_a_mesh_keeps_its_detail_though_no_photo_resolved_it():
    torch.testing.assert_close(kept(SLOPE + CHECKS, 0.0, place=0.05), kept(SLOPE + CHECKS, 1.0))


@given(row=st.integers(4, 28), value=st.floats(-1, 1), garbage=st.floats(-1e3, 1e3))
def test_what_lies_beside_an_outline_or_a_frame_says_nothing(row, value, garbage):
    shown = torch.zeros(32, 32)
    shown[:row] = 1
    correction = torch.where(shown > 0, value, garbage)
    torch.testing.assert_close(kept(correction, 1.0, shown)[:row], torch.full((row, 32), float(value)))


def test_a_refiner_that_keeps_detail_changes_sure_places_coarsely_only():
    refiner = tiny_refiner()
    view = replace(random_view(3, 0.9), turned=1.0)
    view.rgba[...] = (128, 128, 128, 255)

    def roughness(kept_detail: float) -> float:
        refiner.config = replace(refiner.config, free_turn=(5.0, 15.0), kept_detail=kept_detail)
        change = refiner.refine([view], None)[0].astype(float) - view.rgba[..., :3]
        assert np.abs(change).max() > 2
        return np.abs(np.diff(change, axis=0)).mean()

    assert roughness(1.0) < 0.6 * roughness(0.0)


def test_in_training_all_detail_stays_so_that_nothing_learns_to_overshoot():
    refiner = tiny_refiner()
    torch.manual_seed(0)
    views = NetworkViews.split(torch.rand(1, 2, CHANNELS, 32, 32) - 0.5)
    latent = refiner.encode_images(NetworkViews.split(torch.rand(1, CHANNELS, 32, 32)))[0].detach()

    def correction(kept_detail: float) -> torch.Tensor:
        refiner.config = replace(refiner.config, kept_detail=kept_detail)
        with torch.no_grad():
            return refiner(views, latent, torch.zeros_like(latent), 0.0).correction

    whole, half, none = (correction(share) for share in (1.0, 0.5, 0.0))
    assert not torch.equal(whole, half)
    refiner.train()
    assert torch.equal(correction(0.5), whole)
    assert torch.equal(correction(0.0), none)
