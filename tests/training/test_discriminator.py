"""Discriminators learn to tell pictures apart, and the refiner hears of it."""

import pytest
import torch

from backend.training.adversary import Adversary
from backend.training.config import DiscriminatorConfig
from backend.training.discriminator import hinge_fake, hinge_real


@pytest.fixture
def config():
    return DiscriminatorConfig(width=8, learning_rate=5e-3)


def pictures(count=4, size=32):
    """Stripes, and the same blurred."""
    x = torch.arange(size) * 0.8
    true = 0.7 * torch.sin(x + torch.rand(count, 1, 1, 1) * 6).expand(count, 3, size, size)
    return true.contiguous(), 0.2 * true


def test_it_learns_to_tell_true_from_refined(config):
    torch.manual_seed(0)
    adversary = Adversary(config, torch.device("cpu"))
    weight = torch.ones(4, 1, 32, 32)
    history = []
    for _ in range(60):
        terms = adversary.losses(*pictures(), weight)
        adversary.optimizer.zero_grad()
        terms["discriminator"].backward()
        adversary.optimizer.step()
        history.append(terms)
    assert history[0]["discriminator"].item() == pytest.approx(2, abs=0.5)
    assert history[-1]["discriminator"] < 0.75 * history[0]["discriminator"]
    assert history[-1]["verdict_true"] > history[-1]["verdict_refined"] + 0.5


def test_a_picture_is_improved_by_what_the_discriminator_says(config):
    torch.manual_seed(0)
    adversary = Adversary(config, torch.device("cpu"))
    refined = (0.2 * torch.rand(2, 3, 32, 32)).requires_grad_()
    weight = torch.zeros(2, 1, 32, 32)
    weight[..., :16, :] = 1
    before = adversary.deceived(refined, weight, step=0)
    before.backward()
    assert refined.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in adversary.parameters)
    better = (refined - 0.05 * refined.grad / refined.grad.abs().max()).detach()
    assert adversary.deceived(better, weight, step=0) < before


def test_it_is_not_heard_before_its_start():
    adversary = Adversary(DiscriminatorConfig(width=4, start=5), torch.device("cpu"))
    picture, weight = torch.rand(1, 3, 32, 32, requires_grad=True), torch.ones(1, 1, 32, 32)
    assert adversary.deceived(picture, weight, step=4).item() == 0
    assert adversary.deceived(picture, weight, step=5).item() != 0


def test_every_layer_keeps_its_spectral_norm(config):
    torch.manual_seed(0)
    adversary = Adversary(config, torch.device("cpu"))
    for parameter in adversary.parameters:
        parameter.data *= 7
    for _ in range(30):
        adversary.losses(*pictures(), torch.ones(4, 1, 32, 32))
    layers = [m for m in adversary.discriminator.modules() if hasattr(m, "parametrizations")]
    assert layers
    for layer in layers:
        assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() == pytest.approx(1, abs=0.1)


def test_hinge_losses_rest_when_the_margin_is_kept():
    weight = torch.ones(1, 1, 8, 8)
    far = torch.full((1, 1, 2, 2), 1.5)
    assert hinge_real([far], weight).item() == hinge_fake([-far], weight).item() == 0
    assert hinge_real([-far], weight).item() == hinge_fake([far], weight).item() == 2.5
    # Nothing to see: nothing to learn.
    assert hinge_real([-far], 0 * weight).item() == 0
