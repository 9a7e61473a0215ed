"""The batch's benchmark measures what it says, with a few frames."""

import pytest

from backend.bench import batch


@pytest.mark.slow
def test_a_plan_with_nothing_to_render_is_timed(monkeypatch):
    monkeypatch.setattr(batch, "PLANNED_FRAMES", 8)
    figures = batch.measure_planning()
    assert figures["frames"] == 8
    assert 0 < figures["nothing_to_render_seconds"] < 60
