"""Refiners come back from disk as they went; turbo is put together from a diffusers folder and adapters."""

import json
import shutil

import numpy as np
import pytest
import torch
from tiny_refiners import SIZE, random_view, tiny_refiner, tiny_unet, tiny_vae

from backend.avatars.base import RenderedView
from backend.refiner import Refiner, RefinerConfig
from backend.refiner.config import LoraSpec, preset_folder
from backend.refiner.network.images import CHANNELS, NetworkViews
from backend.refiner.network.lora import add_lora, fold_lora, load_lora, lora_state


def test_save_and_load_give_the_same_refiner(tmp_path):
    refiner = tiny_refiner()
    refiner.save_pretrained(tmp_path / "saved")
    again = Refiner.from_pretrained(tmp_path / "saved")
    views, portrait = [random_view(0), random_view(1)], random_view(9).rgba
    expected = refiner.refine(views, refiner.encode_reference(portrait))
    got = again.refine(views, again.encode_reference(portrait))
    assert all((a == b).all() for a, b in zip(expected, got, strict=True))


def test_a_fresh_compact_changes_nothing_and_is_of_the_right_size():
    refiner = Refiner.from_config(preset_folder("compact"))
    parameters = sum(p.numel() for p in refiner.parameters())
    assert 4 * parameters < 40e6
    views = NetworkViews.split(torch.rand(1, 2, CHANNELS, 64, 64) * 2 - 1)
    with torch.inference_mode():
        latent, _ = refiner.encode_images(views.map(lambda part: part[:, 0]))
        refined = refiner(views, latent, torch.randn_like(refiner.pictured(latent)), 0.1).apply(views)
    torch.testing.assert_close(refined, views.color)


def test_missing_weights_and_configs_are_told_plainly(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"config\.json"):
        Refiner.from_pretrained(tmp_path)
    shutil.copy(preset_folder("compact") / "config.json", tmp_path)
    with pytest.raises(FileNotFoundError, match="train the refiner first"):
        Refiner.from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"name": "x", "colour": 1}))
    with pytest.raises(ValueError, match="colour"):
        Refiner.from_pretrained(tmp_path)


def test_folding_keeps_the_function():
    torch.manual_seed(6)
    network = tiny_unet().eval()
    add_lora(network, LoraSpec(4, r"(.*\.)?(to_q|to_v|conv1|proj_in)"))
    for name, parameter in network.named_parameters():
        if "lora_" in name:
            parameter.data.normal_(0, 0.1)
    latent, prompt = torch.randn(1, 4, 8, 8), torch.randn(1, 3, 12)
    with torch.inference_mode():
        adapted = network(latent, 400, prompt).sample
        fold_lora(network)
        torch.testing.assert_close(network(latent, 400, prompt).sample, adapted, rtol=1e-3, atol=1e-4)
    tiny_unet().load_state_dict(network.state_dict())


def test_adapters_of_another_rank_are_refused():
    network, other = tiny_unet(), tiny_unet()
    add_lora(network, LoraSpec(4, r".*to_q"))
    add_lora(other, LoraSpec(2, r".*to_q"))
    with pytest.raises(ValueError, match=r"of rank \{2\}, the preset's are of rank \{4\}"):
        load_lora(network, lora_state(other))


def test_adapters_of_other_modules_or_widths_are_refused():
    network, other, wider = tiny_unet(), tiny_unet(), tiny_unet(width=32)
    add_lora(network, LoraSpec(4, r".*to_q"))
    add_lora(other, LoraSpec(4, r".*to_k"))
    add_lora(wider, LoraSpec(4, r".*to_q"))
    with pytest.raises(ValueError, match="other modules"):
        load_lora(network, lora_state(other))
    with pytest.raises(ValueError, match="belong to another base model"):
        load_lora(network, lora_state(wider))


def test_networks_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="do not belong together"):
        Refiner(RefinerConfig("x", SIZE), tiny_unet(8), tiny_vae(3, 3), torch.zeros(1, 1, 12))
    with pytest.raises(ValueError, match="channels"):
        Refiner(RefinerConfig("x", SIZE), tiny_unet(), tiny_vae(5, 4), torch.zeros(1, 1, 12))
    with pytest.raises(ValueError, match="prompt"):
        Refiner(RefinerConfig("x", SIZE), tiny_unet(), tiny_vae(3, 3), torch.zeros(1, 1, 16))


@pytest.mark.slow
def test_compact_ships_and_keeps_what_is_sure():
    folder = preset_folder("compact")
    onnx = folder / "onnx"
    for runtime in (set(onnx.rglob("*")), set(folder.rglob("*")) - set(onnx.rglob("*"))):
        assert 1e6 < sum(path.stat().st_size for path in runtime if path.is_file()) < 40e6
    assert "PSNR" in (folder / "README.md").read_text()
    refiner = Refiner.from_preset("compact")
    rng = np.random.default_rng(0)
    rgba = rng.integers(0, 256, (256, 256, 4), np.uint8)
    rgba[..., 3] = 255
    confidence = np.tile(np.linspace(0, 1, 256, dtype=np.float32), (256, 1))
    views = [RenderedView(rgba, np.ones((256, 256), np.float32), confidence)] * 2
    refined = refiner.refine(views, refiner.encode_reference(rgba))
    sure = confidence >= 0.5
    assert (refined[0][sure] == rgba[..., :3][sure]).all()
    assert (refined[0][~sure] != rgba[..., :3][~sure]).any()
    # Equal views may be summed in another order, which can tip one byte.
    assert np.abs(refined[0].astype(int) - refined[1]).max() <= 1
