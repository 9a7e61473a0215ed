"""Configuration files say what they may, and what is wrong in one is named."""

import pytest

from backend.protocol.errors import TurboPortraitError
from backend.refiner import available_presets
from backend.training.config import TrainingConfig
from backend.training.configs import CONFIGS

RUNS = sorted(path.stem for kind in ("compact", "turbo") for path in CONFIGS.glob(f"{kind}_stage*.toml"))


@pytest.mark.parametrize("name", RUNS)
def test_the_runs_that_ship_load(name):
    config = TrainingConfig.load(CONFIGS / f"{name}.toml")
    assert config.preset in available_presets()
    assert config.samples.views == 2


def test_each_preset_has_two_stages_and_the_second_continues_the_first():
    assert RUNS == ["compact_stage1", "compact_stage2", "turbo_stage1", "turbo_stage2"]
    for preset in ("compact", "turbo"):
        first, second = (TrainingConfig.load(CONFIGS / f"{preset}_stage{i}.toml") for i in (1, 2))
        assert second.initial == f"{first.folder}/refiner"


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("stepz = 3", "stepz"),
        ("steps = 0", "steps"),
        ('steps = "many"', "steps"),
        ("[loss]\nlpip = 1.0", "lpip"),
        ("[samples]\nviews = 0", "views"),
        ('precision = "fp16"', "precision"),
        ("ema = 1.5", "ema"),
        ("steps = ", "line 3"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, line, named):
    path = tmp_path / "run.toml"
    path.write_text(f'corpus = "a"\nfolder = "b"\n{line}\n')
    with pytest.raises(TurboPortraitError, match=named) as caught:
        TrainingConfig.load(path)
    assert caught.value.code == "bad_training_config"
    assert str(path) in str(caught.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(TurboPortraitError, match="nowhere"):
        TrainingConfig.load(tmp_path / "nowhere.toml")


def test_the_rate_rises_and_falls():
    config = TrainingConfig(corpus="", folder="", steps=100, warmup=10, cooldown=0.2)
    factors = [config.schedule(step) for step in range(100)]
    assert factors[0] == pytest.approx(0.1)
    assert factors[9:80] == pytest.approx([1] * 71)
    assert factors[-1] == pytest.approx(0.05)
