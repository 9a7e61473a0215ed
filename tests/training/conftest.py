"""Runs that take seconds, and the refiner tests' tiny base model."""

import sys
from pathlib import Path

import pytest
from accelerate.state import AcceleratorState
from tiny_corpus import write_tiny_corpus
from tiny_preset import write_tiny_preset

from backend.training.config import SampleConfig, TrainingConfig

sys.path.append(str(Path(__file__).parents[1] / "refiner"))


@pytest.fixture(autouse=True)
def _fresh_accelerator():
    # accelerate keeps one state for a process; every run has its own here.
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture(scope="session")
def tiny_corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    write_tiny_corpus(folder, range(9))
    return folder


@pytest.fixture
def config(tiny_corpus, tmp_path):
    return TrainingConfig(
        corpus=str(tiny_corpus), folder=str(tmp_path / "run"), preset=str(write_tiny_preset(tmp_path / "tiny")),
        steps=6, batch=2, warmup=1, checkpoint_every=3, log_every=1, pictures_every=3, threads=1, device="cpu",
        samples=SampleConfig(crop=24),
    )  # fmt: skip
