"""Stable Diffusion Turbo from a folder or its publisher; the presets that build on it find it."""

import hashlib
import json
import struct

import pytest
import torch
from diffusers import UNet2DConditionModel
from file_server import FileServer
from tiny_base import write_base, write_preset
from typer.testing import CliRunner

from backend.commands.app import app
from backend.models import sd_turbo, sources
from backend.models.presets import SHIPPED
from backend.models.sd_turbo import HUB_NAME, install_sd_turbo, sd_turbo_folder
from backend.pipeline.catalog import Catalog
from backend.protocol.errors import TurboPortraitError
from backend.refiner import Refiner


@pytest.fixture
def little(tmp_path, monkeypatch):
    """A tiny folder of the same layout, taken for the real one; its networks are in half precision as published."""
    base = write_base(tmp_path / "little")
    config = json.loads((base / "unet" / "config.json").read_text())
    monkeypatch.setattr(sd_turbo, "UNET", {key: config[key] for key in sd_turbo.UNET})
    for part in ("unet", "vae"):
        weights = base / part / "diffusion_pytorch_model.safetensors"
        weights.rename(weights.with_name("diffusion_pytorch_model.fp16.safetensors"))
    (base / "text_encoder" / "model.safetensors").rename(base / "text_encoder" / "model.fp16.safetensors")
    (base / "flax_model.msgpack").write_bytes(b"not needed")
    return base


def refused(path):
    with pytest.raises(TurboPortraitError) as caught:
        install_sd_turbo(path, "a licence")
    assert caught.value.code == "bad_base_model"
    assert not sd_turbo_folder().exists()
    return caught.value.sentence


def test_a_preset_on_it_finds_the_installed_folder(little, tmp_path):
    install_sd_turbo(little, "a licence")
    assert not (sd_turbo_folder() / "flax_model.msgpack").exists()
    assert (sd_turbo_folder() / "unet" / "diffusion_pytorch_model.safetensors").is_file()
    preset = write_preset(tmp_path / "preset", little)
    settings = json.loads((preset / "config.json").read_text()) | {"base": {"name": HUB_NAME}}
    (preset / "config.json").write_text(json.dumps(settings))
    refiner = Refiner.from_pretrained(preset)
    expected = UNet2DConditionModel.from_pretrained(little / "unet", variant="fp16")
    assert torch.equal(refiner.unet.conv_in.weight, expected.conv_in.weight)
    assert refiner.prompt.shape == (1, 7, 12)
    assert Catalog.default().preset_ready("turbo")


def test_parts_that_are_missing_are_named(little):
    (little / "text_encoder" / "model.fp16.safetensors").unlink()
    assert "text_encoder/model.safetensors is missing" in refused(little)
    (little / "vae" / "config.json").unlink()
    assert "config.json cannot be read" in refused(little)


def sparse_weights(path, config):
    """The right header over zeros that take no room on the disk."""
    with torch.device("meta"):
        network = UNet2DConditionModel.from_config(config)
    header, end = {}, 0
    for name, value in network.state_dict().items():
        size = 2 * value.numel()
        header[name] = {"dtype": "F16", "shape": list(value.shape), "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + end)


def test_the_real_architecture_passes_and_another_one_does_not(tmp_path):
    """866 million parameters by their header alone, beside those of Stable Diffusion 1.5."""
    folder = tmp_path / "real"
    (folder / "unet").mkdir(parents=True)
    config = json.loads((SHIPPED / "turbo" / "unet" / "config.json").read_text())
    (folder / "unet" / "config.json").write_text(json.dumps(config))
    sparse_weights(folder / "unet" / "diffusion_pytorch_model.safetensors", config)
    assert "vae/config.json cannot be read" in refused(folder)  # the U-Net before it was right
    write_base(tmp_path / "other")
    for part in ("vae", "tokenizer", "text_encoder"):
        (tmp_path / "other" / part).rename(folder / part)
    other = config | {"cross_attention_dim": 768, "attention_head_dim": 8}
    (folder / "unet" / "config.json").write_text(json.dumps(other))
    sparse_weights(folder / "unet" / "diffusion_pytorch_model.safetensors", other)
    assert "cross_attention_dim 768, expected 1024" in refused(folder)


def test_a_download_by_command(little, tmp_path, monkeypatch):
    server = FileServer()
    try:
        files = []
        for path in sorted(path for path in little.rglob("*") if path.is_file()):
            remote = path.relative_to(little).as_posix()
            server.files[remote] = path.read_bytes()
            files.append(
                {
                    "path": remote.replace(".fp16.", "."),
                    "remote": remote,
                    "sha256": hashlib.sha256(server.files[remote]).hexdigest(),
                }
            )
        table = json.loads(sources.SOURCES_PATH.read_text())
        table["sd-turbo"] |= {"base": server.base, "files": files}
        (tmp_path / "sources.json").write_text(json.dumps(table))
        monkeypatch.setattr(sources, "SOURCES_PATH", tmp_path / "sources.json")
        run = CliRunner().invoke(app, ["models", "add", "sd-turbo", "--download", "--accept-licence"])
        assert run.exit_code == 0, run.output
        assert "Stability AI Community License" in run.output
        listed = CliRunner().invoke(app, ["models", "list", "--verify"], env={"COLUMNS": "200"}).output
        assert "ready" in next(line for line in listed.splitlines() if " sd-turbo " in line)
        assert "ready" in next(line for line in listed.splitlines() if " turbo " in line)
    finally:
        server.close()
