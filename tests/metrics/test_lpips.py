"""LPIPS equals torchmetrics' own, and never runs on weights that are not what they say."""

import dataclasses
import hashlib
import logging

import pytest
import torch
import torchmetrics.functional.image.lpips as published

from backend.metrics import lpips
from backend.metrics.lpips import BACKBONES, Lpips
from backend.protocol.errors import TurboPortraitError


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """Random AlexNet weights in a folder, under a name that says their hash as torch hub's names do."""
    torch.manual_seed(0)
    features = BACKBONES["alex"].build()
    path = tmp_path / "unnamed.pth"
    torch.save({f"features.{name}": value for name, value in features.state_dict().items()}, path)
    digits = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    path = path.rename(tmp_path / f"alexnet-{digits}.pth")
    backbone = dataclasses.replace(BACKBONES["alex"], file=path.name)
    monkeypatch.setitem(lpips.BACKBONES, "alex", backbone)
    return path


def test_equals_the_published_distance(weights, monkeypatch):
    ours = Lpips.load(net="alex", folder=str(weights.parent))
    # torchmetrics takes the features from torchvision; here from us, with the same weights.
    monkeypatch.setattr(published, "_get_tv_model_features", lambda net, pretrained: ours.features)
    theirs = published._LPIPS(pretrained=True, net="alex", pnet_rand=True)
    a, b = torch.rand(2, 2, 3, 64, 64) * 2 - 1
    expected = theirs(a, b).mean()
    torch.testing.assert_close(ours(a, b, torch.ones(2, 1, 64, 64)), expected)
    assert expected > 0


def test_vgg_equals_the_published_distance(monkeypatch):
    torch.manual_seed(1)
    features = BACKBONES["vgg"].build()
    ours = Lpips(features, BACKBONES["vgg"].taps, lpips._linear_weights("vgg", 5))
    monkeypatch.setattr(published, "_get_tv_model_features", lambda net, pretrained: features)
    theirs = published._LPIPS(pretrained=True, net="vgg", pnet_rand=True)
    a, b = torch.rand(2, 1, 3, 32, 32) * 2 - 1
    torch.testing.assert_close(ours(a, b, torch.ones(1, 1, 32, 32)), theirs(a, b).mean())


def test_it_teaches_where_the_weight_is(weights):
    distance = Lpips.load(net="alex", folder=str(weights.parent))
    a = (torch.rand(1, 3, 64, 64) * 2 - 1).requires_grad_()
    weight = torch.zeros(1, 1, 64, 64)
    assert distance(a, -a.detach(), weight).item() == 0
    weight[..., :32] = 1
    distance(a, -a.detach(), weight).backward()
    assert a.grad[..., :32].abs().sum() > 0
    assert not any(parameter.requires_grad for parameter in distance.parameters())


def test_missing_weights_are_named_and_the_term_left_out(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        assert Lpips.load(folder=str(tmp_path)) is None
    assert str(tmp_path / "vgg16-397923af.pth") in caplog.text


def test_torch_hubs_cache_is_looked_into(tmp_path, monkeypatch, weights):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    (tmp_path / "home" / "hub" / "checkpoints").mkdir(parents=True)
    weights.rename(tmp_path / "home" / "hub" / "checkpoints" / weights.name)
    assert isinstance(Lpips.load(net="alex"), Lpips)


def test_required_weights_that_are_missing_stop_the_run(tmp_path):
    with pytest.raises(TurboPortraitError, match="vgg16-397923af") as caught:
        Lpips.load(folder=str(tmp_path), required=True)
    assert caught.value.code == "training_weights"


def test_damaged_weights_are_refused_even_if_not_required(weights):
    content = bytearray(weights.read_bytes())
    content[1000] ^= 1
    weights.write_bytes(content)
    with pytest.raises(TurboPortraitError, match="SHA-256") as caught:
        Lpips.load(net="alex", folder=str(weights.parent))
    assert caught.value.code == "training_weights"
