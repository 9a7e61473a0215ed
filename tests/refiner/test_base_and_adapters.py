"""turbo's way: a base model of Stable Diffusion's layout, adapters that are trained on it, saved alone, folded in."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_base import write_base, write_preset
from tiny_refiners import random_view, tiny_unet, tiny_vae

from backend.refiner import Refiner
from backend.refiner.config import preset_folder
from backend.refiner.network.images import CHANNELS, NetworkViews

VIEWS = [random_view(0), random_view(1)]
PORTRAIT = random_view(9).rgba


def shake_adapters(refiner, seed=3):
    """Adapters that change something, as trained ones do."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in refiner.named_parameters():
        if "lora_" in name or "skips" in name:
            parameter.data = 0.1 * torch.randn(parameter.shape, generator=generator)


def forwarded(refiner):
    generator = torch.Generator().manual_seed(1)
    views = NetworkViews.split(torch.rand(1, 2, CHANNELS, 32, 32, generator=generator) * 2 - 1)
    latent, noise = (torch.randn(1, 4, 8, 8, generator=generator) for _ in range(2))
    with torch.inference_mode():
        return refiner.eval()(views, latent, noise, 0.1).correction


def test_a_base_without_adapters_is_itself(preset, base, tmp_path):
    refiner = Refiner.from_pretrained(preset)
    assert refiner.prompt.shape == (1, 7, 12)
    assert refiner.skips is None
    assert not refiner.config.blend
    for name, value in load_file(base / "unet" / "diffusion_pytorch_model.safetensors").items():
        torch.testing.assert_close(refiner.unet.state_dict()[name], value)
    refiner.save_pretrained(tmp_path / "whole")
    again = Refiner.from_pretrained(tmp_path / "whole")
    torch.testing.assert_close(again.prompt, refiner.prompt)
    torch.testing.assert_close(forwarded(again), forwarded(refiner))


def test_the_empty_prompt_is_embedded_once(preset, base, tmp_path, monkeypatch):
    first = Refiner.from_pretrained(preset).prompt
    (kept,) = (tmp_path / "models" / "prompts").iterdir()
    monkeypatch.setattr("backend.refiner.base_model._embed_nothing", lambda folder: pytest.fail("embedded again"))
    torch.testing.assert_close(Refiner.from_pretrained(preset).prompt, first)
    kept.unlink()
    with pytest.raises(pytest.fail.Exception, match="embedded again"):
        Refiner.from_pretrained(preset)


def test_only_adapters_are_trained_and_gradients_reach_them(preset):
    refiner = Refiner.for_training(preset)
    shake_adapters(refiner)
    trainable = {name for name, parameter in refiner.named_parameters() if parameter.requires_grad}
    assert trainable == {name for name, _ in refiner.named_parameters() if "lora_" in name}
    assert any(name.startswith("unet.") for name in trainable)
    assert {name.split(".")[1] for name in trainable if name.startswith("vae.")} == {"decoder"}
    views = NetworkViews.split(torch.rand(2, 2, CHANNELS, 32, 32) * 2 - 1)
    result = refiner(views, torch.randn(2, 3, 4, 8, 8), torch.randn(2, 4, 8, 8), torch.tensor([0.1, 0.5]))
    result.apply(views).square().mean().backward()
    still = {name for name, p in refiner.named_parameters() if p.requires_grad and not p.grad.abs().sum() > 0}
    assert not still


def test_fresh_adapters_change_nothing(preset):
    torch.testing.assert_close(forwarded(Refiner.for_training(preset)), forwarded(Refiner.from_pretrained(preset)))


@pytest.mark.parametrize("skips", [False, True])
def test_saved_adapters_come_back_folded_and_to_train_on(tmp_path, base, skips):
    refiner = Refiner.for_training(write_preset(tmp_path / "with", base, skips=skips))
    assert (refiner.skips is not None) == skips
    assert not skips or all(p.requires_grad for p in refiner.skips.parameters())
    unadapted = forwarded(refiner)
    shake_adapters(refiner)
    expected = forwarded(refiner)
    assert not torch.allclose(expected, unadapted, atol=1e-3)
    refiner.save_adapters(tmp_path / "saved")
    assert sum(path.stat().st_size for path in (tmp_path / "saved").rglob("*.safetensors")) < 400_000
    folded = Refiner.from_pretrained(tmp_path / "saved")
    assert not any("lora" in name for name, _ in folded.named_parameters())
    torch.testing.assert_close(forwarded(folded), expected, rtol=1e-3, atol=1e-3)
    shutil.move(base, tmp_path / "elsewhere")
    torch.testing.assert_close(
        forwarded(Refiner.for_training(tmp_path / "saved", base=tmp_path / "elsewhere")), expected
    )
    with pytest.raises(FileNotFoundError, match="neither a folder nor on this machine"):
        Refiner.from_pretrained(tmp_path / "saved")


def test_adapters_on_another_base_or_of_another_rank_are_refused(preset, tmp_path):
    refiner = Refiner.for_training(preset)
    refiner.save_adapters(tmp_path / "saved")
    other = write_base(tmp_path / "other", seed=6)
    with pytest.raises(ValueError, match=r"trained on another base model than .*other"):
        Refiner.from_pretrained(tmp_path / "saved", base=other)
    settings = json.loads((tmp_path / "saved" / "config.json").read_text())
    settings["lora"]["unet"]["rank"] = 16
    (tmp_path / "saved" / "config.json").write_text(json.dumps(settings))
    with pytest.raises(ValueError, match=r"are of rank \{8\}, the preset's are of rank \{16\}"):
        Refiner.from_pretrained(tmp_path / "saved")


def test_adapters_that_are_on_or_gone_are_not_saved_as_something_else(preset, tmp_path):
    with pytest.raises(ValueError, match="save_adapters"):
        Refiner.for_training(preset).save_pretrained(tmp_path / "a")
    with pytest.raises(ValueError, match="folded already"):
        Refiner.from_pretrained(preset).save_adapters(tmp_path / "b")


def test_without_a_base_training_starts_from_nothing():
    refiner = Refiner.for_training(preset_folder("compact"))
    assert all(parameter.requires_grad for parameter in refiner.parameters())


def test_half_precision_files_are_taken_where_there_are_no_others(preset, base):
    expected = forwarded(Refiner.from_pretrained(preset))
    for part in ("unet", "vae"):
        whole = base / part / "diffusion_pytorch_model.safetensors"
        half = {name: value.half() for name, value in load_file(whole).items()}
        save_file(half, base / part / "diffusion_pytorch_model.fp16.safetensors")
        whole.unlink()
    refiner = Refiner.from_pretrained(preset)
    assert refiner.dtype == torch.float32
    torch.testing.assert_close(forwarded(refiner), expected, rtol=0.05, atol=0.02)


@pytest.mark.parametrize(
    ("part", "changes", "message"),
    [
        ("unet", {"cross_attention_dim": 768, "use_linear_projection": False}, "cross_attention_dim is 768, not 1024"),
        ("unet", {"in_channels": 9}, "in_channels is 9, not 4"),
        ("unet", {"attention_head_dim": 8}, r"attention_head_dim is 8, not \[5, 10, 20, 20\]"),
        (
            "unet",
            {"addition_embed_type": "text_time", "transformer_layers_per_block": [1, 2, 10], "sample_size": 128},
            r"transformer_layers_per_block is \[1, 2, 10\], not 1; addition_embed_type is text_time, not None",
        ),
        ("unet", {"_class_name": "UNetSpatioTemporalConditionModel"}, "is a UNetSpatioTemporalConditionModel"),
        ("vae", {"latent_channels": 16}, "latent_channels is 16, not 4"),
        ("vae", {"_class_name": "AutoencoderTiny"}, "is a AutoencoderTiny, the preset needs a AutoencoderKL"),
    ],
)  # fmt: skip
def test_a_base_of_another_architecture_is_refused_before_its_weights_are_read(tmp_path, part, changes, message):
    """Config files of sd-turbo's layout, changed as Stable Diffusion 1.5, inpainting, SDXL and others have them."""
    for name in ("unet", "vae"):
        shutil.copytree(preset_folder("turbo") / name, tmp_path / "base" / name)
        tiny = tiny_unet() if name == "unet" else tiny_vae(3, 3)
        if name != part:
            tiny.save_config(tmp_path / name)
    path = tmp_path / "base" / part / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    if part == "vae":
        # The right U-Net would be read first, and it is large: take a preset that does not say which U-Net it needs.
        (tmp_path / "preset").mkdir()
        shutil.copy(preset_folder("turbo") / "config.json", tmp_path / "preset")
        shutil.copytree(preset_folder("turbo") / "vae", tmp_path / "preset" / "vae")
        shutil.rmtree(tmp_path / "base" / "unet")
        tiny_unet().save_pretrained(tmp_path / "base" / "unet")
    with pytest.raises(ValueError, match=message):
        Refiner.from_pretrained(
            tmp_path / "preset" if part == "vae" else preset_folder("turbo"), base=tmp_path / "base"
        )


def test_an_autoencoder_of_another_scale_is_refused(tmp_path):
    vae = tiny_vae(3, 3)
    vae.register_to_config(scaling_factor=0.13025)
    mixed = write_base(tmp_path / "mixed", vae=vae)
    with pytest.raises(ValueError, match=r"scales its latents by 0\.13025.*knows them scaled by 0\.18215"):
        Refiner.from_pretrained(write_preset(tmp_path / "preset", mixed))


def test_folders_that_are_no_models_are_told(preset, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"no unet/config\.json"):
        Refiner.from_pretrained(preset, base=tmp_path / "empty")


def test_nothing_is_fetched_that_nobody_asked_for(preset, monkeypatch):
    asked = []

    def hub(repo_id, local_files_only=False, **options):
        asked.append((repo_id, local_files_only))
        raise OSError("no network")

    monkeypatch.setattr("huggingface_hub.snapshot_download", hub)
    with pytest.raises(FileNotFoundError, match="turboportrait models add sd-turbo --download"):
        Refiner.from_preset("turbo")
    assert asked == [("stabilityai/sd-turbo", True)]
    asked.clear()
    with pytest.raises(FileNotFoundError, match=r"hf download someone/another.*no network"):
        Refiner.from_pretrained(preset, base="someone/another")
    assert asked == [("someone/another", True), ("someone/another", False)]
