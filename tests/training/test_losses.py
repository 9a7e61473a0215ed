"""The loss looks only inside the weight, and every term is a weight of the configuration."""

import pytest
import torch

from backend.refiner.network.images import CHANNELS, NetworkViews
from backend.refiner.network.refinement import Refinement
from backend.training.config import LossConfig
from backend.training.losses import PICTURE_TERMS, RefinerLoss, _texture, weighted_mean, within
from backend.training.samples import Batch


@pytest.fixture
def batch():
    torch.manual_seed(0)
    weight = torch.zeros(1, 1, 1, 32, 32)
    weight[..., 8:24, 8:24] = 1
    views = NetworkViews.split(torch.rand(1, 1, CHANNELS, 32, 32) * 2 - 1)
    portrait = views.map(lambda part: part[:, 0])
    return Batch(views, portrait, torch.rand(1, 1, 3, 32, 32) * 2 - 1, weight, torch.zeros(1, 1), torch.zeros(1), 0)


EVERY = LossConfig(**dict.fromkeys(PICTURE_TERMS, 1.0), levels=1)


def test_nothing_outside_the_weight_counts(batch):
    outside = batch.truth + torch.rand_like(batch.truth) * (batch.weight == 0)
    assert RefinerLoss(EVERY).picture(outside, batch)["picture"].item() == pytest.approx(0, abs=2e-3)
    assert torch.equal(within(outside, batch), batch.truth)


def test_what_is_inside_counts(batch):
    terms = RefinerLoss(EVERY).picture(batch.truth + 0.5 * batch.weight, batch)
    assert terms["l1"].item() == pytest.approx(0.5, abs=1e-4)
    assert terms["l2"].item() == pytest.approx(0.25, abs=1e-4)


@pytest.mark.parametrize("name", PICTURE_TERMS)
def test_a_weight_decides_how_much_its_term_counts(batch, name):
    none = dict.fromkeys((*PICTURE_TERMS, "change", "latent"), 0.0)
    refined = batch.truth + 0.3 * torch.rand_like(batch.truth)
    once = RefinerLoss(LossConfig(**none | {name: 1.0})).picture(refined, batch)
    thrice = RefinerLoss(LossConfig(**none | {name: 3.0})).picture(refined, batch)
    assert set(once) == {name, "picture"}
    assert once["picture"] > 0
    torch.testing.assert_close(thrice["picture"], 3 * once["picture"])


def test_texture_is_how_much_detail_there_is_not_where():
    torch.manual_seed(1)
    truth = torch.rand(1, 3, 64, 64) - 0.5
    whole = torch.ones(1, 1, 64, 64)
    blurred = torch.nn.functional.avg_pool2d(truth, 5, 1, 2)
    moved = truth.roll(7, 3)
    assert _texture(truth, truth, whole) == 0
    assert _texture(moved, truth, whole) < 0.15 * _texture(blurred, truth, whole)
    assert weighted_mean((moved - truth).abs(), whole) > weighted_mean((blurred - truth).abs(), whole)
    assert _texture(truth + 0.1, truth, whole) < 1e-5


def test_change_and_latents_are_penalised(batch):
    result = Refinement(
        torch.zeros_like(batch.truth), torch.full_like(batch.weight, 0.25), 2 * torch.ones(1, 1, 4, 8, 8)
    )
    loss = RefinerLoss(LossConfig(change=0.5, latent=0.1))
    terms = loss(result, batch.truth, batch)
    assert terms["change"].item() == pytest.approx(0.25, abs=1e-3)
    assert terms["latent"].item() == pytest.approx(9, rel=1e-3)
    assert (terms["total"] - terms["picture"]).item() == pytest.approx(0.5 * 0.25 + 0.1 * 9, rel=1e-3)
