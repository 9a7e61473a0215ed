"""Photos in other colour spaces are converted by the profile that they carry."""

import io

import numpy as np
import pytest
import skimage.data
from icc_profiles import ADOBE_RGB, DISPLAY_P3, PROPHOTO, cmyk_profile, encoded, rgb_profile
from PIL import Image

from backend.photos import decode_photo


def decoded(image: Image.Image, kind: str, **options) -> np.ndarray:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return decode_photo(buffer.getvalue()).rgb


@pytest.mark.parametrize("space", [DISPLAY_P3, ADOBE_RGB, PROPHOTO], ids=["Display P3", "Adobe RGB", "ProPhoto"])
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_colours_are_as_they_were_before_they_were_put_in_another_space(space, kind):
    astronaut = skimage.data.astronaut()
    other = encoded(astronaut, *space)
    assert np.abs(other.astype(int) - astronaut).mean() > 4
    apart = np.abs(decoded(Image.fromarray(other), kind, icc_profile=rgb_profile(*space)).astype(int) - astronaut)
    assert apart.mean() < 1


def test_alpha_is_kept_beside_a_profile():
    pixels = np.full((64, 64, 4), 128, np.uint8)
    pixels[:32, :, 3] = 255
    pixels[..., :3] = encoded(pixels[..., :3], *PROPHOTO)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", icc_profile=rgb_profile(*PROPHOTO))
    photo = decode_photo(buffer.getvalue())
    np.testing.assert_array_equal(photo.alpha, pixels[..., 3])
    assert np.abs(photo.rgb[:32].astype(int) - 128).max() <= 1


def test_cmyk_is_read_by_its_own_press():
    profile = cmyk_profile(paper=(100, 0, 0), ink=(50, 0, 0))
    grey = decoded(Image.new("CMYK", (64, 64), (255, 0, 0, 0)), "JPEG", icc_profile=profile, quality=95)
    assert np.ptp(grey.mean((0, 1))) < 3
    assert decoded(Image.new("CMYK", (64, 64)), "TIFF", icc_profile=profile).min() > 252


@pytest.mark.parametrize("profile", [b"", b"nonsense", bytes(4096), rgb_profile(*PROPHOTO)[:-40]])
def test_a_damaged_profile_does_not_spoil_the_picture(profile):
    astronaut = skimage.data.astronaut()
    np.testing.assert_array_equal(decoded(Image.fromarray(astronaut), "PNG", icc_profile=profile), astronaut)


def test_a_profile_of_another_kind_of_picture_is_passed_over():
    grey = Image.fromarray(skimage.data.astronaut()).convert("L")
    np.testing.assert_array_equal(decoded(grey, "PNG", icc_profile=rgb_profile(*PROPHOTO))[..., 0], np.asarray(grey))
