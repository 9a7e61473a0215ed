"""Trained refiners become presets: whole ones and adapters alone, checked before they are copied."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_base import write_base, write_preset
from tiny_refiners import tiny_refiner
from typer.testing import CliRunner

from backend.commands.app import app
from backend.pipeline.catalog import Catalog
from backend.protocol.errors import TurboPortraitError
from backend.refiner import Refiner, available_presets
from backend.refiner.installation import install_refiner


@pytest.fixture
def whole(tmp_path):
    tiny_refiner().save_pretrained(tmp_path / "trained")
    return tmp_path / "trained"


@pytest.fixture
def adapters(tmp_path):
    base = write_base(tmp_path / "base")
    refiner = Refiner.for_training(write_preset(tmp_path / "preset", base, name="mine"))
    for name, parameter in refiner.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    refiner.save_adapters(tmp_path / "adapters")
    return tmp_path / "adapters"


def refused(path, code="bad_refiner", **options):
    with pytest.raises(TurboPortraitError) as caught:
        install_refiner(path, **options)
    assert caught.value.code == code
    return caught.value.sentence


def same(first, second):
    states = [refiner.state_dict() for refiner in (first, second)]
    return states[0].keys() == states[1].keys() and all(torch.equal(states[0][k], states[1][k]) for k in states[0])


def test_a_whole_refiner_is_a_preset_of_its_name(whole, models):
    (whole / "notes.bin").write_bytes(b"not part of it")
    name, record = install_refiner(whole, "studio-2")
    assert name == "studio-2"
    assert "notes.bin" not in record.files
    catalog = Catalog.default()
    assert catalog.preset_ready(name)
    assert name in available_presets()
    loaded = catalog.refiner(name, "cpu")
    assert loaded.config.name == name
    assert same(loaded, Refiner.from_pretrained(whole).prepare())


def test_adapters_alone_are_taken_and_put_on_their_base(adapters):
    added = CliRunner().invoke(app, ["models", "add", "refiner", str(adapters)])
    assert added.exit_code == 0, added.output
    assert same(Refiner.from_preset("mine"), Refiner.from_pretrained(adapters).prepare())
    listed = CliRunner().invoke(app, ["models", "list", "--verify"], env={"COLUMNS": "200"}).output
    line = next(line for line in listed.splitlines() if " mine " in line)
    assert "ready" in line
    assert "your own" in line


def test_adapters_whose_base_is_not_there_are_listed_so(adapters):
    settings = json.loads((adapters / "config.json").read_text())
    (adapters / "config.json").write_text(json.dumps(settings | {"base": {"name": "nobody/nothing"}}))
    install_refiner(adapters)
    assert not Catalog.default().preset_ready("mine")


def test_a_preset_that_ships_is_never_shadowed(whole, models):
    assert "ships" in refused(whole, "bad_model_name", name="compact")
    shutil.copytree(whole, models / "refiners" / "compact")
    assert Refiner.from_preset("compact").config.size == 256
    install_refiner(whole, "mine")
    refused(whole, "model_exists", name="mine")


def change(path, **settings):
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))


def test_what_is_no_refiner_is_refused_and_leaves_nothing(whole, models, tmp_path):
    assert "config.json is missing" in refused(tmp_path / "nowhere")
    unet = whole / "unet" / "diffusion_pytorch_model.safetensors"
    content = unet.read_bytes()
    unet.write_bytes(content[:-100])
    assert "no readable safetensors" in refused(whole)
    unet.write_bytes(b"<html>")
    assert "no readable safetensors" in refused(whole)
    unet.unlink()
    assert "unet has no .safetensors" in refused(whole)
    unet.write_bytes(content)
    change(whole / "unet" / "config.json", cross_attention_dim=13)
    assert "not those of its config" in refused(whole)
    change(whole / "unet" / "config.json", block_out_channels=[3, 5])
    assert "makes no network" in refused(whole)
    change(whole / "unet" / "config.json", _class_name="os.system")
    assert "is os.system, not UNet2DConditionModel" in refused(whole)
    (whole / "refiner.safetensors").unlink()
    assert "train the refiner first" in refused(whole)
    change(whole / "config.json", surprise=1)
    assert "unknown settings: surprise" in refused(whole)
    (whole / "config.json").write_text("[1, 2]")
    refused(whole)
    assert not models.exists() or not list((models / "refiners").glob("*"))


def test_adapters_of_another_rank_or_of_other_networks_are_refused(adapters):
    weights = load_file(adapters / "lora.safetensors")
    key = next(name for name in weights if ".lora_A" in name)
    save_file(weights | {key: weights[key][:3].contiguous()}, adapters / "lora.safetensors")
    assert f"{key} " in (said := refused(adapters))
    assert "another rank" in said
    save_file({k: v for k, v in weights.items() if k.startswith("unet.")}, adapters / "lora.safetensors")
    assert "adapts unet, config.json unet, vae" in refused(adapters)
    (adapters / "lora.safetensors").unlink()
    assert "no adapters of its own" in refused(adapters)
