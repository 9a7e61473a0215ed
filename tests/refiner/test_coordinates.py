"""The networks are told where on the head every pixel lies."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_refiners import SIZE, random_view, tiny_refiner, tiny_refiner_with_coordinates, tiny_unet, tiny_vae

from backend.bench.plain_refiner import PlainRefiner
from backend.refiner import Refiner, RefinerConfig
from backend.refiner.coordinates import FEATURES, place_features, scaled_places

place_numbers = st.floats(-0.25, 0.25).filter(lambda x: abs(x) > 1e-3)


def places(seed: int) -> np.ndarray:
    """(SIZE, SIZE, 3), some of it unknown."""
    rng = np.random.default_rng(seed)
    known = rng.random((SIZE, SIZE, 1)) < 0.7
    return (rng.uniform(-0.2, 0.2, (SIZE, SIZE, 3)) * known).astype(np.float32)


def placed_view(seed: int):
    return replace(random_view(seed), place=places(seed))


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
    assert differs.nonzero().flatten().tolist() == [0, 6, 12]


def test_the_noise_leaves_the_coordinates_alone():
    refiner = tiny_refiner_with_coordinates()
    images = torch.randn(2, 8, SIZE, SIZE)
    latents, _ = refiner.encode_images(images)
    noisy = refiner.noised(latents[None], torch.randn(1, 4, 8, 8), 1.0)[0]
    assert torch.equal(noisy[:, 4:], latents[:, 4:])
    torch.testing.assert_close(noisy[:, 4:], place_features(images[:, 5:], 4))
    assert not torch.allclose(noisy[:, :4], latents[:, :4])


def test_a_refiner_with_coordinates_looks_at_them():
    refiner = tiny_refiner_with_coordinates()
    view, portrait = placed_view(0), random_view(9).rgba
    refined = refiner.refine([view], refiner.encode_reference(portrait, places(9)))[0]
    elsewhere = refiner.refine([view], refiner.encode_reference(portrait, places(8)))[0]
    moved = refiner.refine([replace(view, place=places(1))], refiner.encode_reference(portrait, places(9)))[0]
    unknown = refiner.refine([random_view(0)], refiner.encode_reference(portrait))[0]
    assert all((refined != other).any() for other in (elsewhere, moved, unknown))


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


def test_networks_that_cannot_be_told_are_refused():
    config = RefinerConfig(name="tiny", size=SIZE, blend=True, prompt_tokens=1, coordinates=True)
    with pytest.raises(ValueError, match="5 input"):
        Refiner(config, tiny_unet(told=FEATURES), tiny_vae(5, 4), torch.randn(1, 1, 12))
    with pytest.raises(ValueError, match=f"coordinates {FEATURES}"):
        Refiner(config, tiny_unet(), tiny_vae(8, 4), torch.randn(1, 1, 12))
