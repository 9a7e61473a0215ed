"""A models folder of the test's own, a tiny base model, and a preset that builds on it."""

import pytest
from tiny_base import write_base, write_preset


@pytest.fixture(autouse=True)
def _own_models_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TURBOPORTRAIT_MODELS", str(tmp_path / "models"))


@pytest.fixture
def base(tmp_path):
    return write_base(tmp_path / "base")


@pytest.fixture
def preset(tmp_path, base):
    return write_preset(tmp_path / "preset", base)
