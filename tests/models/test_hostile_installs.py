"""Links are never followed out of a model's folder, and one damaged model leaves the others as they are."""

import json
import os
import shutil

import numpy as np
import pytest
from tiny_refiners import tiny_refiner
from typer.testing import CliRunner

from backend.commands.app import app
from backend.commands.doctor import _models
from backend.models.gpavatar import install_gpavatar
from backend.pipeline import Pipeline
from backend.pipeline.installed import entries, remove
from backend.protocol.errors import TurboPortraitError
from backend.refiner import RefinerConfig
from backend.refiner.config import preset_folder
from backend.refiner.installation import install_refiner

pytestmark = pytest.mark.skipif(os.name == "nt", reason="links and pipes as POSIX has them")


@pytest.fixture
def whole(tmp_path):
    tiny_refiner().save_pretrained(tmp_path / "trained")
    return tmp_path / "trained"


@pytest.fixture
def elsewhere(tmp_path):
    """A folder that is none of ours, with a file in it that only its owner may read."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "secret.safetensors").write_bytes(b"mine")
    (folder / "secret.safetensors").chmod(0o600)
    return folder


def untouched(folder):
    secret = folder / "secret.safetensors"
    return secret.read_bytes() == b"mine" and secret.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("kind", ["refiner", "gpavatar", "sd-turbo", "flame"])
def test_removing_a_link_removes_the_link_alone(models, elsewhere, kind):
    place = {"refiner": "refiners/x", "flame": "head_models/x.npz"}.get(kind, kind)
    (models / place).parent.mkdir(parents=True, exist_ok=True)
    (models / place).symlink_to(elsewhere)
    remove(kind, "x")
    assert not os.path.lexists(models / place)
    assert untouched(elsewhere)


def test_removing_a_folder_leaves_what_its_links_lead_to(whole, models, elsewhere):
    install_refiner(whole, "x")
    (models / "refiners" / "x" / "link").symlink_to(elsewhere)
    remove("refiner", "x")
    assert untouched(elsewhere)


def test_a_link_that_leads_nowhere_is_in_the_way_and_can_be_removed(whole, models):
    (models / "refiners").mkdir(parents=True)
    (models / "refiners" / "x").symlink_to("nowhere")
    with pytest.raises(TurboPortraitError, match="model_exists"):
        install_refiner(whole, "x")
    remove("refiner", "x")
    install_refiner(whole, "x")


def test_links_in_a_strangers_refiner_bring_nothing_in(whole, models, elsewhere):
    (whole / "README.md").symlink_to(elsewhere / "secret.safetensors")
    with pytest.raises(TurboPortraitError, match=r"README\.md is a link that leads out") as caught:
        install_refiner(whole)
    assert caught.value.code == "bad_refiner"
    assert not (models / "refiners").exists()


def test_links_of_a_hub_cache_are_followed_to_its_blobs(whole, tmp_path):
    snapshot, blobs = tmp_path / "model" / "snapshots" / "abc", tmp_path / "model" / "blobs"
    shutil.copytree(whole, snapshot)
    blobs.mkdir()
    weights = snapshot / "refiner.safetensors"
    weights.rename(blobs / "123")
    weights.symlink_to("../../blobs/123")
    install_refiner(snapshot, "cached")


def test_saving_a_refiner_opens_no_file_behind_a_link(whole, elsewhere):
    (whole / "link.safetensors").symlink_to(elsewhere / "secret.safetensors")
    tiny_refiner().save_pretrained(whole)
    assert untouched(elsewhere)


def test_files_that_never_end_are_refused(whole, models):
    (whole / "config.json").unlink()
    os.mkfifo(whole / "config.json")
    with pytest.raises(TurboPortraitError, match="bad_refiner"):
        install_refiner(whole)
    (whole / "config.json").unlink()
    (whole / "config.json").symlink_to("/dev/zero")
    with pytest.raises(TurboPortraitError, match="bad_refiner"):
        install_refiner(whole)


def test_a_checkpoint_that_never_ends_is_refused(tmp_path):
    os.mkfifo(tmp_path / "one_model.ckpt")
    os.mkfifo(tmp_path / "model.safetensors")
    for path in (tmp_path / "one_model.ckpt", tmp_path / "model.safetensors", tmp_path):
        with pytest.raises(TurboPortraitError, match="bad_weights"):
            install_gpavatar(path, "a licence")


@pytest.mark.parametrize(
    "config",
    [
        b"",
        b"[",
        b"[1]",
        b"[" * 100_000,
        b'{"name": NaN}',
        b'{"name": "x", "base": 5}',
        b'{"name": "x", "base": {}}',
        b"\xff",
    ],
)
def test_one_damaged_refiner_is_listed_and_the_others_stay(models, config):
    (models / "refiners" / "broken").mkdir(parents=True)
    (models / "refiners" / "broken" / "config.json").write_bytes(config)
    states = {entry.name: entry.state for entry in entries()}
    assert states["broken"].startswith("damaged: ")
    assert states["compact"] == "ready"
    assert "compact" in _models()
    capabilities = Pipeline().capabilities()
    assert "broken" not in capabilities.presets
    assert "compact" in capabilities.presets
    with pytest.raises(TurboPortraitError, match="bad_refiner"):
        Pipeline().refiner("broken")


def test_a_refiner_that_is_removed_while_the_backend_runs_is_no_longer_offered(whole, models):
    install_refiner(whole, "x")
    pipeline = Pipeline()
    assert "x" in pipeline.capabilities().presets
    remove("refiner", "x")
    assert "x" not in pipeline.capabilities().presets


def test_one_damaged_head_model_is_listed_and_the_others_stay(models):
    heads = models / "head_models"
    heads.mkdir(parents=True)
    (heads / "broken.npz").write_bytes(b"PK\x03\x04 broken")
    (heads / "folder.npz").mkdir()
    os.mkfifo(heads / "pipe.pkl")
    (heads / "endless.npz").symlink_to("/dev/zero")
    os.mkfifo(heads / "broken.json")
    (heads / os.fsdecode(b"\xff.npz")).write_bytes(b"")
    output = CliRunner().invoke(app, ["models"], env={"COLUMNS": "300"}).output
    for name in ("broken", "folder", "pipe", "endless"):
        assert any(f" {name} " in line and "damaged" in line for line in output.splitlines()), output
    assert "open_head" in output
    assert set(Pipeline().capabilities().head_models) == {"open_head", "broken", "folder", "pipe", "endless"}


def test_a_damaged_record_is_listed_as_that(models):
    (models / "gpavatar").mkdir(parents=True)
    (models / "gpavatar" / "installed.json").write_text("{")
    assert next(entry.state for entry in entries() if entry.name == "gpavatar").startswith("damaged: ")


OUT_OF_BOUNDS = {
    "timestep": [-1, 1000, 10**9, 1.5, "400", None],
    "size": [0, -8, 255, 10**9, 1e400],
    "noise_level": [-0.1, 1.1, float("nan"), True],
    "beta_start": [0, 1, 0.5],
    "train_timesteps": [0, 10**12],
    "full_confidence": [0, float("inf")],
    "free_turn": [[5], [15, 5], [1, 1e9], "ab"],
    "last_turn": [[5], [15, 5], [1, 1e9], "ab"],
    "outlier_scale": [0, -1, 1e9, float("nan")],
    "prompt_tokens": [-1, 10**9],
    "latent_scale": [0, -1, float("nan")],
    "lora": [{"unet": {"rank": 10**9, "target_modules": "x"}}, {"text": {"rank": 1, "target_modules": "x"}}, [1]]
    + [{"unet": {"rank": 1, "target_modules": text}} for text in ("(a+)+b", "(", ".*" * 9, "x{1,999999}", "x" * 2000)],
    "name": ["", "x" * 5000, 5],
    "base": [{"name": ""}, {"revision": "x"}],
    "skips": [1, "no"],
}


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in OUT_OF_BOUNDS.items() for value in values])
def test_values_of_a_preset_are_bounded(tmp_path, key, value):
    settings = json.loads((preset_folder("compact") / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**settings, key: value}))
    with pytest.raises(ValueError, match=r"config\.json"):
        RefinerConfig.load(tmp_path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("layers_per_block", 10**6),
        ("block_out_channels", [8] * 10**5),
        ("cross_attention_dim", 10**12),
        ("sample_size", np.inf),
        ("x", {}),
    ],
)
def test_a_network_of_any_number_of_modules_is_never_built(whole, key, value):
    config = whole / "unet" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), key: value}))
    with pytest.raises(TurboPortraitError, match=f"{key} is out of bounds"):
        install_refiner(whole)
