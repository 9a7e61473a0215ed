"""GPAvatar's checkpoint: what is taken, what is refused and how that is said."""

import argparse
import contextlib
import pathlib
import sys
import types
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from backend.commands.app import app
from backend.models import gpavatar_weights_path
from backend.models.gpavatar import expected_shapes, gpavatar_folder, install_gpavatar
from backend.protocol.errors import TurboPortraitError

SHAPES = {"a.weight": (3, 4), "a.bias": (3,), "query": (1, 2, 3)}


def state(**changes):
    generator = torch.Generator().manual_seed(1)
    tensors = {name: torch.randn(shape, generator=generator) for name, shape in SHAPES.items()}
    return OrderedDict({**tensors, "percep_loss.net.weight": torch.randn(7), **changes})


def saved(path, content):
    torch.save(content, path)
    return path


def install(path, expected=SHAPES):
    return install_gpavatar(path, "a licence", expected)


def refusal(path, expected=SHAPES):
    """What the error says; nothing may be left behind."""
    with pytest.raises(TurboPortraitError) as caught:
        install(path, expected)
    assert caught.value.code == "bad_weights"
    assert not gpavatar_folder().exists()
    assert not list(gpavatar_folder().parent.glob(".*"))
    return caught.value.sentence


def test_weights_are_converted_once_with_their_checksum(tmp_path):
    tensors = state(query=torch.randn(1, 2, 3).half())
    record = install(saved(tmp_path / "one.ckpt", {"state_dict": tensors, "step": 7, "config_dict": {"LR": 1e-4}}))
    path = gpavatar_weights_path()
    weights = load_file(path)
    assert set(weights) == set(SHAPES)
    for name, weight in weights.items():
        assert weight.dtype == torch.float32
        assert torch.equal(weight, tensors[name].float())
    assert record.files.keys() == {path.name}
    # And again, over the one that is there.
    install(saved(tmp_path / "two.ckpt", {"state_dict": state()}))
    assert gpavatar_weights_path() == path


def test_a_plain_state_dictionary_and_safetensors_are_taken_too(tmp_path):
    install(saved(tmp_path / "plain.pt", dict(state())))
    first = gpavatar_weights_path().read_bytes()
    save_file({name: value.contiguous() for name, value in state().items()}, tmp_path / "x.safetensors")
    install(tmp_path / "x.safetensors")
    assert gpavatar_weights_path().read_bytes() == first


def test_what_is_not_installed_or_was_changed_is_said(tmp_path):
    with pytest.raises(FileNotFoundError, match="turboportrait models add gpavatar"):
        gpavatar_weights_path()
    install(saved(tmp_path / "one.ckpt", state()))
    path = gpavatar_weights_path()
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(TurboPortraitError) as caught:
        gpavatar_weights_path()
    assert caught.value.code == "model_damaged"
    path.unlink()
    with pytest.raises(TurboPortraitError, match="missing"):
        gpavatar_weights_path()


def test_an_installation_that_fails_leaves_the_one_before(tmp_path, monkeypatch):
    install(saved(tmp_path / "one.ckpt", state()))
    before = gpavatar_weights_path().read_bytes()

    def full(tensors, path):
        path.write_bytes(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    with pytest.raises(TurboPortraitError, match="No space") as caught:
        install(saved(tmp_path / "two.ckpt", state(query=torch.zeros(1, 2, 3))))
    assert caught.value.code == "disk_full"
    assert gpavatar_weights_path().read_bytes() == before
    assert [path.name for path in gpavatar_folder().parent.iterdir()] == ["gpavatar"]


def test_every_key_that_does_not_fit_is_counted_and_the_first_are_named(tmp_path):
    odd = state(**{"a.weight": torch.zeros(4, 3)}, extra=torch.zeros(1))
    del odd["a.bias"], odd["query"]
    said = refusal(saved(tmp_path / "x.ckpt", {"state_dict": odd}))
    assert "2 missing: a.bias, query" in said
    assert "1 unknown: extra" in said
    assert "1 of another shape: a.weight (4, 3) instead of (3, 4)" in said
    said = refusal(saved(tmp_path / "y.ckpt", {"state_dict": {f"layer{i}": torch.zeros(1) for i in range(9)}}))
    assert "9 unknown: layer0, layer1, layer2, …" in said


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_refused(tmp_path, value):
    assert "a.bias has values that are not finite" in refusal(
        saved(tmp_path / "x.ckpt", state(**{"a.bias": torch.tensor([0.0, value, 0.0])}))
    )


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ({"state_dict": {}}, "no state_dict"),
        ([1, 2], "no state_dict"),
        ({"state_dict": {"a.bias": 3}}, "not of tensors"),
        (state(**{"a.bias": torch.zeros(3, dtype=torch.int64)}), "floating-point"),
        (state(**{"a.bias": torch.zeros(3).to_sparse()}), "floating-point"),
        (state(query=torch.zeros(1).expand(10**6, 10**6)), "another shape"),
    ],
    ids=["empty", "a list", "a number", "integers", "sparse", "spread over a terabyte"],
)
def test_what_is_no_state_of_a_network_is_refused(tmp_path, content, what):
    assert what in refusal(saved(tmp_path / "x.ckpt", content))


class Callback:
    """As Lightning's callbacks: an object with a state of its own."""

    def __init__(self):
        self.best, self.history = pathlib.PurePosixPath("best.ckpt"), [1.0, 2.0]


@pytest.fixture
def omegaconf(monkeypatch):
    """A class of a library that is not there when the file is read."""
    module = types.ModuleType("omegaconf.dictconfig")
    module.DictConfig = type("DictConfig", (), {"__module__": module.__name__, "__qualname__": "DictConfig"})
    monkeypatch.setitem(sys.modules, "omegaconf", types.ModuleType("omegaconf"))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module.DictConfig


def test_harmless_objects_of_lightning_are_passed_over(tmp_path, omegaconf, monkeypatch):
    config = omegaconf()
    config.content = {"lr": 1e-4}
    path = saved(
        tmp_path / "x.ckpt",
        {
            "state_dict": state(),
            "hyper_parameters": {"config": config, "arguments": argparse.Namespace(lr=1)},
            "metric": np.float64(0.5),
            "path": pathlib.PurePosixPath("/somewhere"),
        },
    )
    monkeypatch.delitem(sys.modules, "omegaconf.dictconfig")
    install(path)
    assert set(load_file(gpavatar_weights_path())) == set(SHAPES)


def test_objects_of_unknown_kinds_are_refused_by_name(tmp_path):
    said = refusal(saved(tmp_path / "x.ckpt", {"state_dict": state(), "callbacks": {"own": Callback()}}))
    assert "test_gpavatar_weights.Callback" in said
    assert "nothing of it was run" in said


class Bomb:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return exec, (f"open({str(self.target)!r}, 'w')",)


@pytest.mark.parametrize("place", ["beside", "inside"])
def test_code_is_never_run(tmp_path, place):
    bomb = Bomb(tmp_path / "ran")
    content = {"state_dict": state(), "bomb": bomb} if place == "beside" else {"state_dict": {"a.bias": bomb}}
    assert "builtin" in (said := refusal(saved(tmp_path / "x.ckpt", content)))
    assert ".exec, which no weights need" in said
    assert not (tmp_path / "ran").exists()


def test_files_of_other_kinds_are_told_apart(tmp_path):
    good = saved(tmp_path / "good.ckpt", state()).read_bytes()
    cases = {
        b"": "no file that torch.save writes",
        b"<!DOCTYPE html><html><title>Sign in</title>": "web page",
        good[: len(good) // 2]: "cut or damaged",
        b"\x80\x02}q\x00.": "no file that torch.save writes",
        b"\x89PNG\r\n\x1a\n" * 20: "no file that torch.save writes",
    }
    for content, what in cases.items():
        (tmp_path / "x.ckpt").write_bytes(content)
        assert what in refusal(tmp_path / "x.ckpt"), content[:20]
    assert "cannot be read" in refusal(tmp_path / "nowhere.ckpt")
    (tmp_path / "x.safetensors").write_bytes(good)
    assert "no readable safetensors" in refusal(tmp_path / "x.safetensors")


def test_a_file_that_would_unpack_to_more_than_it_is_is_refused(tmp_path):
    """A zip bomb: nothing of it is unpacked."""
    path = tmp_path / "x.ckpt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/data.pkl", b"\0" * (64 << 20))
    assert "packed" in refusal(path)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.slow
def test_damage_anywhere_is_an_error_and_no_crash(tmp_path):
    """Each byte of pickle and directory flipped in turn: taken as the same weights, or refused."""
    good = saved(tmp_path / "good.ckpt", {"state_dict": state()}).read_bytes()
    rng = np.random.default_rng(3)
    for place in rng.choice(len(good), 600, replace=False):
        content = bytearray(good)
        content[place] ^= int(rng.integers(1, 256))
        (tmp_path / "x.ckpt").write_bytes(content)
        with contextlib.suppress(TurboPortraitError):
            install(tmp_path / "x.ckpt")
            assert set(load_file(gpavatar_weights_path())) == set(SHAPES)


def test_the_published_table_is_the_networks_own():
    shapes = expected_shapes()
    assert len(shapes) == 574
    from backend.avatars.gpavatar.network import GPAvatarNetwork

    with torch.device("meta"):
        network = GPAvatarNetwork()
    assert {name: tuple(value.shape) for name, value in network.state_dict().items()} == shapes


@pytest.mark.slow
def test_a_whole_checkpoint_by_command(tmp_path):
    """All 574 tensors at full size, as published: a Lightning checkpoint with the perceptual loss's network beside."""
    tensors = {name: torch.zeros(shape) for name, shape in expected_shapes().items()}
    tensors["attn_module.scale"] = torch.tensor([32**-0.5])
    path = saved(tmp_path / "one_model.ckpt", {"state_dict": {**tensors, "percep_loss.x": torch.ones(3)}, "step": 1})
    run = CliRunner().invoke(app, ["models", "add", "gpavatar", str(path)])
    assert run.exit_code == 0, run.output
    assert "MIT" in run.output
    assert set(load_file(gpavatar_weights_path())) == set(expected_shapes())
    shown = CliRunner().invoke(app, ["models", "list", "--verify"], env={"COLUMNS": "200"}).output
    line = next(line for line in shown.splitlines() if " gpavatar " in line)
    assert "ready" in line
    assert "MIT" in line
    run = CliRunner().invoke(app, ["models", "remove", "gpavatar"])
    assert run.exit_code == 0
    with pytest.raises(FileNotFoundError):
        gpavatar_weights_path()
