"""The mean of refiners is a refiner like any other."""

import pytest
import torch
from tiny_preset import write_tiny_preset
from typer.testing import CliRunner

from backend.commands.train import app
from backend.refiner import Refiner


def saved(preset, folder, seed):
    torch.manual_seed(seed)
    refiner = Refiner.from_config(preset)
    refiner.save_pretrained(folder)
    return refiner.state_dict()


def run(*arguments):
    return CliRunner().invoke(app, ["mean", *map(str, arguments)])


def test_the_mean_has_the_mean_of_all_weights(tmp_path):
    preset = write_tiny_preset(tmp_path / "tiny")
    first, second = (saved(preset, tmp_path / str(seed), seed) for seed in (1, 2))
    result = run(tmp_path / "1", tmp_path / "2", "--output", tmp_path / "mean")
    assert result.exit_code == 0, result.output
    found = Refiner.from_pretrained(tmp_path / "mean").state_dict()
    assert not torch.equal(first["unet.conv_in.weight"], second["unet.conv_in.weight"])
    for name in ("unet.conv_in.weight", "vae.encoder.conv_in.weight", "skips.0.weight", "prompt"):
        torch.testing.assert_close(found[name], (first[name] + second[name]) / 2)


@pytest.mark.parametrize("other", ["none", "smaller"])
def test_what_has_no_mean_is_named_and_nothing_is_written(tmp_path, other):
    saved(write_tiny_preset(tmp_path / "tiny"), tmp_path / "1", 1)
    if other == "smaller":
        smaller = write_tiny_preset(tmp_path / "preset")
        config = smaller / "vae" / "config.json"
        config.write_text(config.read_text().replace("[8, 16]", "[8, 8]"))
        saved(smaller, tmp_path / "smaller", 1)
    result = run(tmp_path / "1", tmp_path / other, "--output", tmp_path / "mean")
    assert result.exit_code != 0
    assert result.exception.code == "training_weights"
    assert str(tmp_path / other) in str(result.exception)
    assert not (tmp_path / "mean").exists()
