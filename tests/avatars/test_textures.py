"""Colours of hair that a portrait does not show: between what lies beside it and what lies deep inside, and skin's
where it is but light on a bald head."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from backend.avatars.relief.textures import hair_colors, smooth_inside

SIZE = 256
DARK, RIM, BACKGROUND = 40, 220, 128


def rim_lit(width):
    """A dark disc with a bright rim so many pixels wide, and which pixels are hair."""
    y, x = np.mgrid[:SIZE, :SIZE] - SIZE / 2
    radius = np.hypot(x, y)
    picture = np.where(radius < 90 - width, DARK, np.where(radius < 90, RIM, BACKGROUND))
    return np.repeat(picture[..., None], 3, -1).astype(np.uint8), radius < 90


@pytest.mark.parametrize("width", [6, 12])
def test_a_rim_light_is_not_the_colour_of_the_hidden_side(width):
    picture, hair = rim_lit(width)
    outline = hair & ~ndimage.binary_erosion(hair, iterations=3)
    beside = smooth_inside(picture, hair, 5.0)[outline].mean()
    filled = hair_colors(picture, hair, ~hair)[outline].mean()
    assert filled < 0.5 * (beside + DARK) + 10
    # Nor is it forgotten: some of a lit side's light is there.
    assert filled > DARK + 10


@given(st.integers(0, 2**32), st.floats(0, 0.9))
def test_hair_has_colours_between_those_of_the_hair(seed, share):
    rng = np.random.default_rng(seed)
    noise = ndimage.gaussian_filter(rng.normal(0, 1, (64, 64)), 6)
    hair = noise > np.quantile(noise, share)
    low, high = sorted(rng.uniform(0, 255, 2))
    picture = np.where(hair[..., None], rng.uniform(low, high, (64, 64, 3)), 255 - low)
    filled = hair_colors(picture, hair, np.zeros_like(hair))
    assert filled.shape == (64, 64, 3)
    if hair.any():
        assert filled.min() >= low - 0.01
        assert filled.max() <= high + 0.01


def test_without_hair_there_is_the_picture():
    picture, hair = rim_lit(6)
    assert (hair_colors(picture, np.zeros_like(hair), hair) == picture).all()


@pytest.mark.parametrize(
    ("half_width", "hair_tone", "bald"), [(6, RIM, True), (6, DARK, False), (24, RIM, False)], ids=str
)
def test_a_bright_strip_is_light_on_a_bald_head_but_dark_or_wide_hair_is_hair(half_width, hair_tone, bald):
    skin_tone = 120
    picture = np.full((SIZE, SIZE, 3), skin_tone, np.uint8)
    hair, skin = np.zeros((SIZE, SIZE), bool), np.zeros((SIZE, SIZE), bool)
    hair[40:216, 40 : 40 + 2 * half_width] = True
    skin[40:216, 40 + 2 * half_width : 200] = True
    picture[hair] = hair_tone
    filled = hair_colors(picture, hair, skin)[hair]
    np.testing.assert_allclose(filled, skin_tone if bald else hair_tone, atol=2)


def test_between_strip_and_wide_hair_colours_do_not_jump():
    tones = []
    for half_width in range(3, 30):
        picture = np.full((SIZE, SIZE, 3), 120, np.uint8)
        hair = np.zeros((SIZE, SIZE), bool)
        hair[40:216, 40 : 40 + 2 * half_width] = True
        picture[hair] = RIM
        tones.append(hair_colors(picture, hair, ~hair)[hair].mean())
    assert np.diff(tones).min() > -1
    assert np.diff(tones).max() < 0.15 * (RIM - 120)
