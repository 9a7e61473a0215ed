"""The turbo preset at its full width, with random weights: 865.9 million parameters, and still the same function."""

import dataclasses

import numpy as np
import pytest
import torch
from diffusers.models.attention_processor import AttnProcessor2_0
from tiny_refiners import random_view

from backend.refiner import Refiner
from backend.refiner.config import preset_folder
from backend.refiner.network.attention import PromptAttention, ReshapedSelfAttention
from backend.refiner.network.lora import add_lora, fold_lora, lora_state
from backend.refiner.network.unet import predict_noise
from backend.refiner.network.upsampling import fold_upsampling, unfold_upsampling

pytestmark = pytest.mark.slow

SIZE = 64
"""Pixels: 8x8 latents, down to a single place at the U-Net's coarsest level."""


@pytest.fixture(scope="module")
def turbo():
    torch.manual_seed(0)
    refiner = Refiner.from_config(preset_folder("turbo"))
    refiner.config = dataclasses.replace(refiner.config, size=SIZE)
    return refiner.prepare()


@pytest.fixture(scope="module")
def latents():
    return torch.randn(1, 4, 4, 8, 8, generator=torch.Generator().manual_seed(1))


def close(got, expected):
    torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))


@torch.inference_mode()
def test_it_is_stable_diffusion_turbos_architecture(turbo):
    assert sum(p.numel() for p in turbo.unet.parameters()) == 865_910_724
    assert sum(p.numel() for p in turbo.vae.parameters()) == 83_653_863
    assert turbo.prompt.shape == (1, 77, 1024)
    heads = {module.heads for name, module in turbo.unet.named_modules() if name.endswith("attn1")}
    assert heads == {5, 10, 20}


@torch.inference_mode()
def test_every_self_attention_is_one_over_the_concatenated_tokens(turbo, latents, monkeypatch):
    """Each layer's output beside softmax(q k / sqrt(d)) v over all images' tokens, written out."""
    checked = []
    call = ReshapedSelfAttention.__call__

    def beside_the_formula(self, attn, hidden_states, encoder_hidden_states=None, attention_mask=None, images=1):
        got = call(self, attn, hidden_states, encoder_hidden_states, attention_mask, images)
        assert images == len(hidden_states) == 4
        sequence = hidden_states.reshape(1, -1, hidden_states.shape[-1])
        width = sequence.shape[-1] // attn.heads
        heads = []
        for head in range(attn.heads):
            part = slice(head * width, (head + 1) * width)
            query, key, value = (to(sequence)[0, :, part] for to in (attn.to_q, attn.to_k, attn.to_v))
            heads.append(torch.softmax(query @ key.T / width**0.5, dim=-1) @ value)
        expected = attn.to_out[0](torch.cat(heads, dim=1)).reshape(hidden_states.shape)
        torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-5)
        checked.append(sequence.shape[1])
        return got

    monkeypatch.setattr(ReshapedSelfAttention, "__call__", beside_the_formula)
    turbo.denoise(latents[:, :3], latents[:, 3])
    tokens = [4 * side**2 for side in (8, 4, 2, 1)]
    assert sorted(checked) == sorted(5 * tokens[:1] + 5 * tokens[1:2] + 5 * tokens[2:3] + tokens[3:])


@torch.inference_mode()
def test_one_view_without_reference_is_the_stock_unet(turbo, latents):
    ours = predict_noise(turbo.unet, latents[:, :1], turbo.timestep, turbo.prompt, 1)
    together = predict_noise(turbo.unet, latents, turbo.timestep, turbo.prompt, 3)
    processors = turbo.unet.attn_processors
    assert {type(p) for p in processors.values()} == {ReshapedSelfAttention, PromptAttention}
    turbo.unet.set_attn_processor(AttnProcessor2_0())
    unfold_upsampling(turbo.unet)
    stock = turbo.unet(latents[:, 0], 400, turbo.prompt).sample
    turbo.unet.set_attn_processor(processors)
    fold_upsampling(turbo.unet)
    close(ours[0], stock)
    # With others beside it the same view is another: they are looked at.
    assert not torch.allclose(together[0, 0], stock[0], rtol=1e-2, atol=1e-2 * float(stock.abs().max()))


@torch.inference_mode()
def test_views_keep_their_order_and_the_reference_stays_clean(turbo, latents):
    seen = []
    hook = turbo.unet.conv_in.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].clone()))
    order = [2, 0, 1]
    straight = turbo.denoise(latents[:, :3], latents[:, 3])
    shuffled = turbo.denoise(latents[:, order], latents[:, 3])
    close(shuffled, straight[:, order])
    views = [_view(0), _view(1)]
    reference = turbo.encode_reference(_view(9).rgba)
    seen.clear()
    first = turbo.refine(views, reference, noise_level=0.5, seed=3)
    again = turbo.refine(views, reference, noise_level=0.5, seed=3)
    other = turbo.refine(views, reference, noise_level=0.5, seed=4)
    hook.remove()
    assert all(torch.equal(sample[2:], torch.from_numpy(reference.latent)) for sample in seen)
    assert not torch.equal(seen[0][:2], seen[2][:2])
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@torch.inference_mode()
def test_adapters_are_where_the_paper_has_them_and_fold_away(turbo, latents):
    """U-Net and VAE decoder (the paper's figure 2), the modules and ranks of img2img-turbo."""
    expected = {}
    decoded = turbo.vae.decoder(latents[0, :1])
    for part, spec in turbo.config.lora.items():
        network = getattr(turbo, part)
        add_lora(network, spec)
        state = lora_state(network)
        assert {value.shape[0] for key, value in state.items() if ".lora_A." in key} == {8 if part == "unet" else 4}
        expected[part] = sum(value.numel() for value in state.values())
        kinds = {key.split(".lora_")[0].rsplit(".", 1)[-1] for key in state}
        assert {"to_q", "to_k", "to_v", "conv1", "conv2", "conv_out"} <= kinds
        assert part == "unet" or all(key.startswith("decoder.") for key in state)
        fold_lora(network)
    assert expected["unet"] < 0.02 * 865_910_724
    assert 0 < expected["vae"] < 0.02 * 83_653_863
    torch.testing.assert_close(turbo.vae.decoder(latents[0, :1]), decoded)


def _view(seed):
    view = random_view(seed, 0.0)
    rgba, depth, confidence = (
        np.kron(x, np.ones((2, 2) + (1,) * (x.ndim - 2), x.dtype)) for x in (view.rgba, view.depth, view.confidence)
    )
    return type(view)(rgba, depth, confidence)
