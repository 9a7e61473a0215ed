"""Little heads for batch work."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "pipeline"))
sys.path.insert(0, str(Path(__file__).parent))

from little_shots import little_poses


@pytest.fixture
def poses():
    """Two shots of a little head, six frames each."""
    return little_poses()
