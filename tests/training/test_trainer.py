"""Training learns, shows what it does, and resumes to the step."""

import json
import signal
import sys

import numpy as np
import pytest
import torch
from msgspec.structs import replace
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from backend.protocol.errors import TurboPortraitError
from backend.refiner import Refiner
from backend.training.config import DiscriminatorConfig, LossConfig, SampleConfig
from backend.training.trainer import Trainer

ADVERSARIAL = {"loss": LossConfig(adversarial=0.1), "discriminator": DiscriminatorConfig(width=8, learning_rate=1e-3)}

MUON = {"optimizer": "muon"}


def quiet(step, terms):
    pass


def checkpoint(folder):
    return torch.load(folder / "checkpoint.pt", weights_only=True)


def assert_same(a, b, where="state"):
    """Tensors equal bit by bit, through containers; time and memory apart."""
    if isinstance(a, torch.Tensor):
        assert torch.equal(a, b), where
    elif isinstance(a, dict):
        assert a.keys() == b.keys(), where
        for key in a.keys() - {"seconds", "memory"}:
            assert_same(a[key], b[key], f"{where}.{key}")
    elif isinstance(a, list | tuple):
        assert len(a) == len(b), where
        for index, (x, y) in enumerate(zip(a, b, strict=True)):
            assert_same(x, y, f"{where}.{index}")
    else:
        assert a == b, where


@pytest.mark.parametrize("settings", [{}, ADVERSARIAL | {"accumulation": 2}, {"precision": "bf16"}, MUON])
def test_an_interrupted_run_goes_on_bit_equal(config, tmp_path, settings):
    straight = replace(config, log_every=2, **settings)
    Trainer(straight).run(quiet)
    broken = replace(straight, folder=str(tmp_path / "broken"))
    first = Trainer(broken)
    first.run(quiet, minutes=0.0)
    assert first.step == 1
    second = Trainer(broken)
    assert second.step == 1
    second.run(quiet)
    assert_same(checkpoint(tmp_path / "run"), checkpoint(tmp_path / "broken"))
    logs = [[json.loads(line) for line in (tmp_path / name / "log.jsonl").open()] for name in ("run", "broken")]
    assert len(logs[0]) == 3
    assert_same(*logs)


def test_a_run_that_was_killed_goes_on_from_its_last_checkpoint(config, tmp_path):
    class Killed(Exception):
        pass

    def kill(step, terms):
        if step == 5:
            raise Killed

    with pytest.raises(Killed):
        Trainer(config).run(kill)
    with (tmp_path / "run" / "log.jsonl").open("a") as log:
        log.write('{"step": 5, "sec')
    again = Trainer(config)
    assert again.step == 3
    again.run(quiet)
    straight = replace(config, folder=str(tmp_path / "straight"))
    Trainer(straight).run(quiet)
    assert_same(checkpoint(tmp_path / "run"), checkpoint(tmp_path / "straight"))
    # What was logged after the checkpoint is not there twice.
    assert [json.loads(line)["step"] for line in (tmp_path / "run" / "log.jsonl").open()] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_stops(config, number):
    trainer = Trainer(config)
    trainer.run(lambda step, terms: signal.raise_signal(number) if step == 2 else None)
    assert trainer.interrupted == number
    # The signal came after step 2 had been agreed on.
    assert Trainer(config).step == 3


def test_the_result_is_a_refiner_of_the_averaged_weights(config):
    trainer = Trainer(config)
    trainer.run(quiet)
    refiner = Refiner.from_pretrained(trainer.folder / "refiner")
    average = trainer.learner.average.values["unet.conv_in.weight"]
    torch.testing.assert_close(refiner.unet.conv_in.weight, average)
    assert not torch.equal(average, trainer.learner.trained["unet.conv_in.weight"])


def test_a_second_stage_starts_from_the_first_ones_result(config, tmp_path):
    first = Trainer(config)
    first.run(quiet)
    second = Trainer(replace(config, folder=str(tmp_path / "second"), initial=str(first.folder / "refiner")))
    for name, value in first.learner.average.values.items():
        torch.testing.assert_close(second.learner.trained[name].data, value)
    assert second.step == 0


def test_biases_do_not_decay(config):
    decays = {}
    learner = Trainer(replace(config, weight_decay=0.1)).learner
    for group in learner.optimizer.param_groups:
        decays |= {id(parameter): group["weight_decay"] for parameter in group["params"]}
    named = {name: decays[id(parameter)] for name, parameter in learner.trained.items()}
    assert named["unet.conv_in.weight"] == named["vae.encoder.conv_in.weight"] == 0.1
    assert named["unet.conv_in.bias"] == named["unet.conv_norm_out.weight"] == 0.0


def test_muon_takes_the_matrices_and_adamw_the_rest(config):
    taken = {}
    learner = Trainer(replace(config, unet_share=0.5, **MUON)).learner
    for group in learner.optimizer.param_groups:
        taken |= {id(parameter): (group["use_muon"], group["share"]) for parameter in group["params"]}
    named = {name: taken[id(parameter)] for name, parameter in learner.trained.items()}
    assert named["unet.mid_block.resnets.0.conv1.weight"] == (True, 0.5)
    assert named["vae.decoder.conv_in.weight"] == (True, 1.0)
    assert named["unet.conv_norm_out.weight"] == (False, 0.5)
    assert named["vae.decoder.conv_out.weight"] == named["prompt"] == (False, 1.0)


def test_a_missing_optimizer_is_told_plainly(config, monkeypatch):
    monkeypatch.setitem(sys.modules, "pytorch_optimizer", None)
    with pytest.raises(TurboPortraitError, match=r"pip install 'turboportrait3d\[training\]'"):
        Trainer(replace(config, **MUON))


@pytest.mark.parametrize("settings", [{}, MUON])
def test_training_lowers_the_loss(config, settings):
    ratios = []
    whole = replace(config, seed=1, steps=150, learning_rate=3e-3, ema=0.9, pictures_every=1000, **settings)
    trainer = Trainer(whole)
    streams = []

    def report(step, terms):
        ratios.append(terms["picture"] / terms["raw_picture"])
        streams.append(terms["stream"])

    trainer.run(report)
    assert min(streams) > 0
    assert max(streams) < 1e6
    # Some people are harder than others: ten steps' mean is theirs.
    assert np.mean(ratios[-50:]) < 0.97 * np.mean(ratios[:10])


def test_the_discriminator_learns_beside_the_refiner(config):
    verdicts = []
    steps = replace(config, steps=60, pictures_every=1000, samples=SampleConfig(crop=32), **ADVERSARIAL)
    Trainer(steps).run(lambda step, terms: verdicts.append(terms["verdict_true"] - terms["verdict_refined"]))
    assert abs(verdicts[0]) < 0.1
    assert np.mean(verdicts[-10:]) > 0.3


def test_tensorboard_has_curves_and_pictures(config, tmp_path):
    Trainer(config).run(quiet)
    board = EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
    assert [event.step for event in board.Scalars("picture")] == [1, 2, 3, 4, 5, 6]
    (name,) = board.Tags()["images"]
    pictures = board.Images(name)
    assert [event.step for event in pictures] == [3, 6]
    assert (pictures[0].width, pictures[0].height) == (4 * 24, 2 * 24)


def test_a_checkpoint_of_another_run_is_refused(config, tmp_path):
    Trainer(config).run(quiet, minutes=0.0)
    with pytest.raises(TurboPortraitError, match="adversarial") as caught:
        Trainer(replace(config, **ADVERSARIAL))
    assert caught.value.code == "bad_checkpoint"
    (tmp_path / "run" / "checkpoint.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(TurboPortraitError, match=r"checkpoint\.pt") as caught:
        Trainer(config)
    assert caught.value.code == "bad_checkpoint"


def test_a_run_that_diverges_stops_and_keeps_its_checkpoint(config, tmp_path):
    Trainer(config).run(quiet, minutes=0.0)
    before = checkpoint(tmp_path / "run")
    trainer = Trainer(config)
    trainer.learner.trained["unet.conv_in.weight"].data.fill_(float("nan"))
    with pytest.raises(TurboPortraitError) as caught:
        trainer.run(quiet)
    assert caught.value.code == "diverged"
    assert_same(checkpoint(tmp_path / "run"), before)


@pytest.mark.parametrize("samples", [SampleConfig(crop=64), SampleConfig(crop=24, views=3)])
def test_samples_that_the_corpus_cannot_give_are_told_plainly(config, samples):
    with pytest.raises(TurboPortraitError, match="identity 0") as caught:
        Trainer(replace(config, samples=samples))
    assert caught.value.code == "bad_training_config"


@pytest.mark.parametrize(
    "settings", [{"initial": "nowhere"}, {"preset": "nowhere"}, {"preset": "turbo", "base": "nowhere"}]
)
def test_weights_that_are_not_there_are_told_plainly(config, settings):
    with pytest.raises(TurboPortraitError, match="nowhere") as caught:
        Trainer(replace(config, **settings))
    assert caught.value.code == "training_weights"
