"""Discriminators learn to tell pictures apart, and the refiner hears of it."""

import json

import pytest
import torch
from transformers import CLIPVisionConfig, CLIPVisionModel, Dinov2Config, Dinov2Model

from backend.protocol.errors import TurboPortraitError
from backend.training.adversary import Adversary
from backend.training.config import DiscriminatorConfig
from backend.training.discriminator import build_discriminator, hinge_fake, hinge_real

VIT = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2, "image_size": 28, "patch_size": 14}


def write_backbone(folder, kind):
    torch.manual_seed(0)
    if kind == "clip":
        CLIPVisionModel(CLIPVisionConfig(**VIT, intermediate_size=64)).save_pretrained(folder)
    else:
        Dinov2Model(Dinov2Config(**VIT | {"image_size": 56})).save_pretrained(folder)
    preparation = {"image_mean": [0.48, 0.46, 0.41], "image_std": [0.27, 0.26, 0.28]}
    preparation |= {"crop_size": {"height": 28, "width": 28}} if kind == "dinov2" else {}
    (folder / "preprocessor_config.json").write_text(json.dumps(preparation))
    return folder


@pytest.fixture(params=["patch", "dinov2", "clip"])
def config(request, tmp_path):
    backbone = "" if request.param == "patch" else str(write_backbone(tmp_path, request.param))
    return DiscriminatorConfig(backbone=backbone, width=8, layers=2, learning_rate=5e-3)


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


def test_the_backbone_stays_as_it_is(tmp_path):
    adversary = Adversary(DiscriminatorConfig(backbone=str(write_backbone(tmp_path, "dinov2"))), torch.device("cpu"))
    assert not any(parameter.requires_grad for parameter in adversary.discriminator.backbone.parameters())
    assert not adversary.discriminator.train().backbone.training
    assert not any(name.startswith("backbone") for name in adversary.state_dict()["discriminator"])
    # 28 pixels in patches of 14.
    assert [tuple(verdict.shape) for verdict in adversary.discriminator(pictures()[0])] == 3 * [(4, 1, 2, 2)]


def test_a_backbone_that_cannot_be_used_is_told_plainly(tmp_path):
    with pytest.raises(TurboPortraitError, match="backbone") as caught:
        build_discriminator(DiscriminatorConfig(backbone=str(tmp_path / "nowhere")))
    assert caught.value.code == "training_weights"
    write_backbone(tmp_path, "dinov2")
    (tmp_path / "preprocessor_config.json").unlink()
    with pytest.raises(TurboPortraitError, match="preprocessor_config"):
        build_discriminator(DiscriminatorConfig(backbone=str(tmp_path)))
