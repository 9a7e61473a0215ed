"""Gradient checkpointing changes the memory and nothing else."""

import copy

import torch
from tiny_preset import write_tiny_preset

from backend.refiner import Refiner
from backend.refiner.network.images import CHANNELS, NetworkViews
from backend.training.gradients import recompute_activations


def gradients_of(refiner, counts):
    torch.manual_seed(1)
    views, portrait = (NetworkViews.split(torch.rand(*shape, CHANNELS, 32, 32) * 2 - 1) for shape in ((2, 2), (2,)))
    decoder_block = refiner.vae.decoder.up_blocks[0].resnets[0]
    decoder_block.register_forward_hook(lambda *_: counts.append(1))
    reference, _ = refiner.encode_images(portrait)
    result = refiner(views, reference, torch.randn(refiner.pictured(reference).shape), torch.tensor([0.1, 0.4]))
    result.apply(views).square().mean().backward()
    return {name: p.grad for name, p in refiner.named_parameters() if p.grad is not None}


def test_the_gradients_are_the_same(tmp_path):
    torch.manual_seed(0)
    refiner = Refiner.for_training(write_tiny_preset(tmp_path / "tiny"))
    # Not at zero, or most gradients would be.
    torch.nn.init.normal_(refiner.vae.decoder.conv_out.weight, std=0.1)
    saving = copy.deepcopy(refiner)
    recompute_activations(saving)
    once, twice = [], []
    straight, recomputed = gradients_of(refiner, once), gradients_of(saving, twice)
    assert straight.keys() == recomputed.keys()
    assert len(straight) > 50
    for name, gradient in straight.items():
        torch.testing.assert_close(recomputed[name], gradient, rtol=1e-5, atol=1e-8)
    # It was recomputed indeed.
    assert (len(once), len(twice)) == (1, 2)
