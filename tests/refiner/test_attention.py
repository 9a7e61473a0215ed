"""The reshaped self-attention is one attention over all tokens of all images, and nothing else changed."""

import copy

import pytest
import torch
from diffusers.models.attention_processor import Attention
from tiny_refiners import tiny_refiner, tiny_unet
from torch.nn.functional import scaled_dot_product_attention

from backend.refiner.network.attention import ReshapedSelfAttention, freeze_prompt, reshape_attention


@pytest.mark.parametrize(("batch", "images", "tokens"), [(1, 3, 16), (2, 1, 9), (2, 5, 4)])
def test_equals_attention_over_the_concatenated_tokens(batch, images, tokens):
    torch.manual_seed(1)
    layer = Attention(query_dim=24, heads=3, dim_head=8).eval()
    layer.set_processor(ReshapedSelfAttention())
    hidden = torch.randn(batch * images, tokens, 24)
    out = layer(hidden, images=images)

    for sample in range(batch):
        sequence = torch.cat(list(hidden[sample * images : (sample + 1) * images]))
        parts = []
        for head in range(3):
            columns = slice(8 * head, 8 * head + 8)
            query, key, value = (to(sequence)[:, columns] for to in (layer.to_q, layer.to_k, layer.to_v))
            parts.append(torch.softmax(query @ key.T / 8**0.5, dim=-1) @ value)
        expected = layer.to_out[0](torch.cat(parts, dim=1)).reshape(images, tokens, 24)
        torch.testing.assert_close(out[sample * images : (sample + 1) * images], expected, rtol=1e-4, atol=1e-5)


def test_one_image_without_reference_is_the_stock_unet():
    torch.manual_seed(2)
    stock = tiny_unet().eval()
    reshaped = copy.deepcopy(stock)
    reshape_attention(reshaped)
    latent, prompt = torch.randn(3, 4, 8, 8), torch.randn(1, 7, 12)
    with torch.inference_mode():
        expected = stock(latent, 400, prompt.expand(3, -1, -1)).sample
        got = reshaped(latent, 400, prompt.expand(3, -1, -1), cross_attention_kwargs={"images": 1}).sample
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("tokens", [1, 5])
def test_the_frozen_prompt_changes_nothing(tokens):
    torch.manual_seed(3)
    unet = tiny_unet().eval()
    reshape_attention(unet)
    latent, prompt = torch.randn(4, 4, 8, 8), torch.randn(1, tokens, 12)
    with torch.inference_mode():
        call = lambda p: unet(latent, 400, p.expand(4, -1, -1), cross_attention_kwargs={"images": 2}).sample  # noqa: E731
        free = call(prompt)
        freeze_prompt(unet, prompt)
        torch.testing.assert_close(call(torch.zeros_like(prompt)), free)
        freeze_prompt(unet, None)
        torch.testing.assert_close(call(prompt), free)


def test_every_self_attention_sees_views_and_reference(monkeypatch):
    refiner = tiny_refiner()
    lengths = []

    def spy(query, key, value, **options):
        lengths.append((query.shape[2], key.shape[2]))
        return scaled_dot_product_attention(query, key, value, **options)

    monkeypatch.setattr("backend.refiner.network.attention.scaled_dot_product_attention", spy)
    with torch.inference_mode():
        refiner.denoise(torch.randn(1, 2, 4, 8, 8), torch.randn(1, 4, 8, 8))
    assert sorted(set(lengths)) == [(3 * 4 * 4, 3 * 4 * 4), (3 * 8 * 8, 3 * 8 * 8)]
