"""diffusers' AutoencoderTiny in place of the full one: another scale, nothing to skip, the same refiner."""

import pytest
import torch
from diffusers import AutoencoderTiny
from tiny_base import write_preset
from tiny_refiners import SIZE, random_view

from backend.refiner import Refiner
from backend.refiner.network.autoencoder import decode, encode, reduction

UNET_LORA = {"unet": {"rank": 2, "target_modules": r".*to_q"}}


def autoencoder(scale=1.0):
    torch.manual_seed(4)
    return AutoencoderTiny(
        encoder_block_out_channels=(8, 8, 8),
        decoder_block_out_channels=(8, 8, 8),
        num_encoder_blocks=(1, 1, 1),
        num_decoder_blocks=(1, 1, 1),
        scaling_factor=scale,
    )


@pytest.fixture
def tiny_preset(tmp_path, base):
    """tiny_preset(scale) -> a preset whose autoencoder, of this scale, is a model of its own."""

    def make(scale=1.0, **changes):
        autoencoder(scale).save_pretrained(tmp_path / "taesd")
        settings = {"vae_kind": "tiny", "vae_base": {"name": str(tmp_path / "taesd")}, "latent_scale": 1.0}
        return write_preset(tmp_path / "tiny", base, lora=UNET_LORA, **(settings | changes))

    return make


def test_it_encodes_and_decodes_as_diffusers_does():
    vae = autoencoder(0.5)
    images = torch.rand(2, 3, SIZE, SIZE) * 2 - 1
    with torch.inference_mode():
        latents, features = encode(vae, images)
        assert features == []
        assert latents.shape == (2, 4, SIZE // reduction(vae), SIZE // reduction(vae))
        torch.testing.assert_close(latents, 0.5 * vae.encode(images).latents)
        torch.testing.assert_close(decode(vae, latents), vae.decode(latents / 0.5).sample)


def test_a_preset_may_take_it_from_a_model_of_its_own(tiny_preset, tmp_path):
    refiner = Refiner.from_pretrained(tiny_preset())
    assert isinstance(refiner.vae, AutoencoderTiny)
    refined = refiner.refine([random_view(0), random_view(1)], refiner.encode_reference(random_view(9).rgba))
    assert [image.shape for image in refined] == [(SIZE, SIZE, 3)] * 2
    refiner.save_pretrained(tmp_path / "whole")
    again = Refiner.from_pretrained(tmp_path / "whole")
    assert isinstance(again.vae, AutoencoderTiny)
    expected = again.refine([random_view(0), random_view(1)], again.encode_reference(random_view(9).rgba))
    assert all((a == b).all() for a, b in zip(refined, expected, strict=True))


def test_adapters_are_trained_on_the_unet_alone(tiny_preset, tmp_path):
    Refiner.for_training(tiny_preset()).save_adapters(tmp_path / "saved")
    assert isinstance(Refiner.from_pretrained(tmp_path / "saved").vae, AutoencoderTiny)


def test_the_full_ones_scale_on_it_is_refused(tiny_preset):
    with pytest.raises(ValueError, match=r"scales its latents by 0\.18215.*knows them scaled by 1\.0"):
        Refiner.from_pretrained(tiny_preset(0.18215))


def test_it_is_not_taken_for_the_full_one(tiny_preset):
    with pytest.raises(ValueError, match="is a AutoencoderTiny, the preset needs a AutoencoderKL"):
        Refiner.from_pretrained(tiny_preset(vae_kind="kl"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"skips": True}, "skips need the full autoencoder"),
        ({"vae_kind": "wide"}, "vae_kind"),
        ({"free_turn": [9, 3]}, "free_turn"),
        ({"last_turn": [115, 95]}, "last_turn"),
        ({"outlier_scale": 0}, "outlier_scale"),
        ({"least_hold": 1.5}, "least_hold"),
        ({"kept_detail": -0.1}, "kept_detail"),
    ],
)
def test_settings_that_cannot_be_are_refused(tiny_preset, changes, message):
    with pytest.raises(ValueError, match=message):
        Refiner.from_pretrained(tiny_preset(**changes))
