"""A model folder of the test's own."""

import sys
from pathlib import Path

import pytest

for _room in ("flame", "refiner"):
    sys.path.insert(0, str(Path(__file__).parents[1] / _room))


@pytest.fixture(autouse=True)
def models(tmp_path, monkeypatch):
    """The folder that TURBOPORTRAIT_MODELS names during a test; it is not made yet."""
    folder = tmp_path / "models"
    monkeypatch.setenv("TURBOPORTRAIT_MODELS", str(folder))
    return folder
