"""Folded upsampling is diffusers' own, in every pixel to the border, and can be taken back."""

import pytest
import torch
from diffusers.models.upsampling import Upsample2D
from tiny_refiners import tiny_refiner, tiny_unet, tiny_vae

from backend.refiner.network.upsampling import FoldedUpsampling, fold_upsampling, unfold_upsampling
from backend.refiner.runtime import static_runner


@pytest.mark.parametrize("shape", [(1, 6, 1, 1), (2, 6, 5, 3), (3, 6, 8, 8)])
def test_it_gives_the_same_pixels(shape):
    torch.manual_seed(0)
    stock = Upsample2D(6, use_conv=True, out_channels=4).double().requires_grad_(False)
    image = torch.randn(shape, dtype=torch.float64)
    got = FoldedUpsampling(stock.conv)(image)
    torch.testing.assert_close(got, stock(image), rtol=1e-5, atol=1e-6)  # Taps are summed in single precision.


@pytest.mark.parametrize("network", [tiny_unet, lambda: tiny_vae(3, 3)], ids=["unet", "vae"])
def test_networks_fold_and_unfold(network):
    network = network().eval().requires_grad_(False)
    doublings = [module for module in network.modules() if isinstance(module, Upsample2D)]
    keys = network.state_dict().keys()
    fold_upsampling(network)
    assert doublings
    assert all(isinstance(module.forward, FoldedUpsampling) for module in doublings)
    assert network.state_dict().keys() == keys
    image = torch.randn(1, doublings[0].channels, 4, 4)
    folded = doublings[0](image, None)
    unfold_upsampling(network)
    assert not any("forward" in vars(module) for module in doublings)
    torch.testing.assert_close(folded, doublings[0](image, None), rtol=1e-4, atol=1e-5)


def test_weights_that_change_are_folded_anew_by_preparing():
    refiner = tiny_refiner()
    upsampler = next(module for module in refiner.vae.modules() if isinstance(module, Upsample2D))
    image = torch.randn(1, upsampler.channels, 4, 4)
    upsampler.conv.weight.mul_(2)
    refiner.prepare()
    folded = upsampler(image)
    unfold_upsampling(refiner.vae)
    torch.testing.assert_close(folded, upsampler(image), rtol=1e-4, atol=1e-5)


def test_the_whole_evaluation_is_one_graph_to_the_compiler(monkeypatch):
    """Traced without a break and without waiting for a value, as recording on a GPU needs."""
    refiner = tiny_refiner()
    inputs = (
        torch.randint(0, 256, (1, 2, 32, 32, 4), dtype=torch.uint8),
        torch.zeros(1, 2, 32, 32),
        torch.zeros(1, 2, 32, 32),
        torch.zeros(1, 2, 32, 32, 3),
        torch.zeros(1, 2, 32, 32, 3, dtype=torch.uint8),
        torch.randn(1, 1, 4, 8, 8),
        torch.randn(1, 4, 8, 8),
        torch.tensor(0.1),
    )
    with torch.inference_mode():
        traced = torch.compile(lambda *x: refiner.refined_pictures(*x), backend="eager", fullgraph=True, dynamic=False)
        for got, expected in zip(traced(*inputs), refiner.refined_pictures(*inputs), strict=True):
            assert (got.int() - expected.int()).abs().max() <= 1
    assert not static_runner.can_compile(torch.device("cpu"))
