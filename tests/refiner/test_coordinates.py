"""The networks are told where on the head every pixel lies."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_refiners import SIZE, random_view, tiny_refiner, tiny_refiner_with_coordinates, tiny_unet, tiny_vae
from torch.nn.functional import scaled_dot_product_attention

from backend.bench.plain_refiner import PlainRefiner
from backend.refiner import Refiner, RefinerConfig
from backend.refiner.network.coordinates import (
    FEATURES,
    HEADS,
    OCTAVES,
    PLACE,
    UNIT,
    TokenPlaces,
    near_channels,
    place_features,
    scaled_places,
)
from backend.refiner.network.images import CHANNELS, NetworkViews

place_numbers = st.floats(-0.25, 0.25).filter(lambda x: abs(x) > 1e-3)


def places(seed: int) -> np.ndarray:
    """(SIZE, SIZE, 3), some of it unknown."""
    rng = np.random.default_rng(seed)
    known = rng.random((SIZE, SIZE, 1)) < 0.7
    return (rng.uniform(-0.2, 0.2, (SIZE, SIZE, 3)) * known).astype(np.float32)


def placed_view(seed: int):
    warped = np.random.default_rng(seed + 100).integers(0, 256, (SIZE, SIZE, 3), np.uint8)
    return replace(random_view(seed), place=places(seed), warped=warped)


def looking_near(query, key, places):
    """Queries and keys with what they gain by their places."""
    gained = near_channels(places, *query.shape[1::2])
    return [torch.cat(pair, -1) for pair in zip((query, key), gained, strict=True)]


@settings(max_examples=50, deadline=None)
@given(place=st.tuples(place_numbers, place_numbers, place_numbers), known=st.integers(0, 16))
def test_a_place_has_one_code_wherever_it_is_seen(place, known):
    """The code of a token is its pixels' place, times how many of them show one."""
    flat = torch.zeros(16, 3)
    flat[:known] = torch.tensor(place)
    order = torch.randperm(16, generator=torch.Generator().manual_seed(known))
    image = scaled_places(flat[order].reshape(4, 4, 3)).permute(2, 0, 1)[None]
    whole = scaled_places(torch.tensor(place).expand(4, 4, 3)).permute(2, 0, 1)[None]
    code = place_features(whole, 4)
    assert code.shape == (1, FEATURES, 1, 1)
    torch.testing.assert_close(place_features(image, 4), code * known / 16, rtol=1e-4, atol=1e-5)


def test_near_places_have_near_codes_and_mirrored_ones_differ_in_the_sines_of_x():
    x = torch.tensor([[0.06, 0.02, -0.08], [0.061, 0.02, -0.08], [-0.06, 0.02, -0.08], [0.09, -0.06, 0.0]])
    codes = place_features(scaled_places(x)[:, :, None, None], 1)[:, :, 0, 0]
    near, mirrored, far = ((codes[0] - codes[i]).norm() for i in (1, 2, 3))
    assert near < 0.1 * far
    differs = (codes[0] - codes[2]).abs() > 1e-5
    assert mirrored > near
    assert differs.nonzero().flatten().tolist() == [0, *(PLACE + 6 * octave for octave in range(OCTAVES))]


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), heads=st.integers(1, 6))
def test_heads_look_near_their_place_as_a_normal_distribution_does(seed, heads):
    generator = torch.Generator().manual_seed(seed)
    query, key, value = (torch.randn(2, heads, 30, 8, generator=generator) for _ in range(3))
    metres = 0.1 * torch.randn(2, 30, 3, generator=generator)
    places = torch.cat([metres / UNIT, torch.ones(2, 30, 1)], -1)
    near = scaled_dot_product_attention(*looking_near(query, key, places), value, scale=8**-0.5)
    for head in range(heads):
        logits = query[:, head] @ key[:, head].transpose(1, 2) * 8**-0.5
        if head < min(heads - 1, len(HEADS)):
            width, mirrored = HEADS[head]
            at = torch.cat([metres[..., :1].abs(), metres[..., 1:]], -1) if mirrored else metres
            logits = logits - torch.cdist(at, at) ** 2 / (2 * width**2)
        torch.testing.assert_close(near[:, head], logits.softmax(-1) @ value[:, head], rtol=1e-3, atol=1e-3)


def test_a_token_without_a_place_looks_anywhere_and_is_far_from_all():
    places = torch.tensor([[[0.1, 0.2, 0.3, 1.0], [0.1, 0.2, 0.3, 1.0], [0.0, 0.0, 0.0, 0.0]]])
    zero = torch.zeros(1, 2, 3, 8)
    query, key = looking_near(zero, zero, places)
    weights = (query @ key.transpose(2, 3) * 8**-0.5).softmax(-1)[0, 0]
    torch.testing.assert_close(weights[2], torch.full((3,), 1 / 3))
    assert weights[0, 2] < 1e-6
    torch.testing.assert_close(weights[0, :2], torch.tensor([0.5, 0.5]))


def test_tokens_have_the_mean_place_of_their_pixels():
    place = scaled_places(torch.from_numpy(places(3))).permute(2, 0, 1)[None]
    known = (place != 0).any(1, keepdim=True)
    tokens = TokenPlaces(place_features(place, 4)[None], 2).at
    assert [x.shape[1] for x in tokens] == [64, 16]
    corner, mask = place[0, :, :8, :8], known[0, 0, :8, :8]
    torch.testing.assert_close(tokens[1][0, 0, :3], corner[:, mask].mean(1), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(tokens[1][0, 0, 3], mask.float().mean())


def test_the_noise_leaves_the_coordinates_alone():
    refiner = tiny_refiner_with_coordinates()
    images = NetworkViews.split(torch.randn(2, CHANNELS, SIZE, SIZE))
    latents, _ = refiner.encode_images(images)
    noisy = refiner.noised(latents[None], torch.randn(1, 4, 8, 8), 1.0)[0]
    assert torch.equal(noisy[:, 4:], latents[:, 4:])
    torch.testing.assert_close(noisy[:, 4:], place_features(images.place, 4))
    assert not torch.allclose(noisy[:, :4], latents[:, :4])


def test_a_refiner_with_coordinates_looks_at_them():
    refiner = tiny_refiner_with_coordinates()
    view, portrait = placed_view(0), random_view(9).rgba
    refined = refiner.refine([view], refiner.encode_reference(portrait, places(9)))[0]
    elsewhere = refiner.refine([view], refiner.encode_reference(portrait, places(8)))[0]
    moved = refiner.refine([replace(view, place=places(1))], refiner.encode_reference(portrait, places(9)))[0]
    unknown = refiner.refine([random_view(0)], refiner.encode_reference(portrait))[0]
    assert all((refined != other).any() for other in (elsewhere, moved, unknown))


def test_the_warped_portrait_is_looked_at_where_it_is_known_and_not_without_a_reference():
    refiner = tiny_refiner_with_coordinates()
    state = refiner.encode_reference(random_view(9).rgba, places(9))
    view = placed_view(0)
    other = replace(view, warped=255 - view.warped)
    nowhere = np.where(view.place.any(-1, keepdims=True), view.warped, 0)
    refined, otherwise, known, bare, bare_other = (
        refiner.refine([seen], reference)[0]
        for seen, reference in (
            (view, state),
            (other, state),
            (replace(view, warped=nowhere), state),
            (view, None),
            (other, None),
        )
    )
    assert (refined != otherwise).any()
    assert (refined == known).all()
    assert (bare == bare_other).all()
    # Grey is what an unknown one is.
    unknown = refiner.refine([replace(view, warped=None)], None)[0]
    assert (bare == unknown).all()


def test_the_warped_portrait_can_be_taken_as_it_is():
    """Its detail need not pass through the latents: a decoder that says so alone gives it back."""
    refiner = tiny_refiner_with_coordinates()
    last = refiner.vae.decoder.conv_out
    torch.nn.init.zeros_(last.weight)
    last.bias.copy_(torch.tensor([0.0, 0, 0, 20, 20]))
    solid = random_view(0, confidence=0.0).rgba | np.uint8([0, 0, 0, 255])
    view = replace(placed_view(0), rgba=solid, confidence=np.zeros((SIZE, SIZE), np.float32))
    state = refiner.encode_reference(random_view(9).rgba, places(9))
    refined = refiner.refine([view], state)[0].astype(int)
    known = view.place.any(-1)
    assert np.abs(refined[known] - view.warped[known]).max() <= 1
    assert (refined[~known] == view.rgba[~known, :3]).all()
    assert (refiner.refine([view], None)[0] == view.rgba[..., :3]).all()


def test_a_refiner_without_coordinates_does_not():
    refiner = tiny_refiner()
    portrait = random_view(9).rgba
    refined = refiner.refine([placed_view(0)], refiner.encode_reference(portrait, places(9)))[0]
    assert (refined == refiner.refine([random_view(0)], refiner.encode_reference(portrait))[0]).all()


def test_it_is_kept_on_disk_and_the_plain_form_agrees(tmp_path):
    refiner = tiny_refiner_with_coordinates()
    view, portrait = placed_view(0), random_view(9).rgba
    state = refiner.encode_reference(portrait, places(9))
    refined = refiner.refine([view, placed_view(1)], state)
    refiner.save_pretrained(tmp_path)
    again = Refiner.from_pretrained(tmp_path)
    assert again.config.coordinates
    expected = again.refine([view, placed_view(1)], again.encode_reference(portrait, places(9)))
    assert all((a == b).all() for a, b in zip(refined, expected, strict=True))
    plain = PlainRefiner(refiner, {}, torch.float32).refine([view, placed_view(1)], portrait)
    unplaced = refiner.refine([view, placed_view(1)], refiner.encode_reference(portrait))
    assert all(np.abs(a.astype(int) - b).max() <= 1 for a, b in zip(plain, unplaced, strict=True))


def test_networks_that_cannot_see_places_are_refused():
    config = RefinerConfig(name="tiny", size=SIZE, blend=True, prompt_tokens=1, coordinates=True)
    with pytest.raises(ValueError, match="5 input"):
        Refiner(config, tiny_unet(places=FEATURES), tiny_vae(5, 4), torch.randn(1, 1, 12))
    with pytest.raises(ValueError, match=f"coordinates {FEATURES}"):
        Refiner(config, tiny_unet(), tiny_vae(CHANNELS, 4), torch.randn(1, 1, 12))
