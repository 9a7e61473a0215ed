"""Training learns, resumes to the step, and never looks where it must not."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_corpus import write_tiny_corpus
from tiny_preset import write_tiny_preset

from backend.refiner import Refiner
from backend.training.corpus import is_held_out, load_identities
from backend.training.losses import RefinerLoss
from backend.training.samples import NOISE_LEVELS, Batch, SampleConfig, draw_batch, drop_part
from backend.training.trainer import Trainer, TrainingConfig


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    write_tiny_corpus(folder, range(9))
    return folder


@pytest.fixture
def config(corpus, tmp_path):
    return TrainingConfig(
        corpus=str(corpus), folder=str(tmp_path / "run"), preset=str(write_tiny_preset(tmp_path / "tiny")), steps=6,
        batch=2, warmup=1, checkpoint_every=3, log_every=1, threads=1, samples=SampleConfig(crop=24),
    )  # fmt: skip


def _quiet(step, terms):
    pass


def test_an_interrupted_run_goes_on_bit_equal(config, tmp_path):
    straight = Trainer(config)
    straight.run(_quiet)
    broken = dataclasses.replace(config, folder=str(tmp_path / "broken"))
    first = Trainer(broken)
    first.run(_quiet, minutes=0.0)
    assert first.step == 1
    second = Trainer(broken)
    assert second.step == 1
    second.run(_quiet)
    for name, value in straight.average.items():
        assert torch.equal(value, second.average[name]), name
    assert (tmp_path / "broken" / "log.jsonl").read_text().count("\n") == 6


def test_the_result_is_a_refiner(config):
    trainer = Trainer(config)
    trainer.run(_quiet)
    refiner = Refiner.from_pretrained(trainer.folder / "refiner")
    torch.testing.assert_close(refiner.unet.conv_in.weight, trainer.average["unet.conv_in.weight"])


def test_training_lowers_the_loss(config):
    config = dataclasses.replace(config, steps=60, learning_rate=3e-3, ema=0.9)
    trainer, ratios = Trainer(config), []
    trainer.run(lambda step, terms: ratios.append(terms["picture"] / terms["raw_picture"]))
    assert np.mean(ratios[-10:]) < 0.97 * np.mean(ratios[:10])


def test_held_out_identities_never_leak(corpus):
    train = {identity.seed for identity in load_identities(corpus, held_out=False)}
    held = {identity.seed for identity in load_identities(corpus, held_out=True)}
    assert not train & held
    assert held == {seed for seed in range(9) if is_held_out(seed)} == {7}


def test_an_empty_corpus_is_told_plainly(tmp_path):
    with pytest.raises(FileNotFoundError, match="train synthesize"):
        load_identities(tmp_path, held_out=False)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_samples_are_sound(seed, corpus):
    identities = load_identities(corpus, held_out=False)
    batch = draw_batch(identities, SampleConfig(crop=24), 2, np.random.default_rng(seed))
    again = draw_batch(identities, SampleConfig(crop=24), 2, np.random.default_rng(seed))
    assert torch.equal(batch.views, again.views)
    assert batch.views.shape == (2, 2, 5, 24, 24)
    assert batch.reference.shape == (2, 5, 24, 24)
    assert batch.views.abs().max() <= 1 + 1e-5
    assert set(np.round(batch.noise_level.tolist(), 3)) <= set(NOISE_LEVELS)
    # No loss outside the raw view's alpha.
    assert (batch.weight[batch.views[:, :, 3:4] < 0.9] == 0).all()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_dropping_only_takes_away(seed):
    rng = np.random.default_rng(seed)
    raw = rng.integers(0, 256, (32, 32, 4), np.uint8)
    confidence = rng.random((32, 32)).astype(np.float32)
    dropped, trust = drop_part(raw, confidence, rng)
    assert (trust <= confidence).all()
    assert (dropped[..., 3] == raw[..., 3]).all()
    untouched = trust == confidence
    assert (dropped[..., :3][untouched] == raw[..., :3][untouched]).all()


def test_the_loss_looks_only_inside_the_weight():
    torch.manual_seed(0)
    truth = torch.rand(1, 1, 3, 32, 32) * 2 - 1
    weight = torch.zeros(1, 1, 1, 32, 32)
    weight[..., 8:24, 8:24] = 1
    views = torch.zeros(1, 1, 5, 32, 32)
    batch = Batch(views, views[:, 0], truth, weight, torch.zeros(1))
    outside = truth + torch.rand_like(truth) * (weight == 0)
    assert RefinerLoss(levels=1).picture(outside, batch)["picture"].item() == pytest.approx(0, abs=1e-4)
    inside = truth + 0.5 * weight
    assert RefinerLoss(levels=1).picture(inside, batch)["l1"].item() == pytest.approx(0.5, abs=1e-4)


def test_the_configs_that_ship_load():
    import tomllib

    from backend.training.cli import CONFIGS
    from backend.training.corpus import SynthesisConfig

    assert TrainingConfig.load(CONFIGS / "compact.toml").preset == "compact"
    assert SynthesisConfig(**tomllib.loads((CONFIGS / "corpus.toml").read_text())).identities > 0
