"""What is measured of a tracked performance: nothing where it is what was played, and what was done to it otherwise."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from backend.evaluation.acting import FRAMES, STILL, YAW, script, still
from backend.evaluation.performance import ACTIONS, compare
from backend.protocol.performance import Performance
from backend.tracking.clips import Costs

COSTS = Costs(pictures=10, network_calls=10, network=1.0, whole=2.0)


def test_the_script_plays_all_that_is_measured():
    played = script()
    assert len(played) == FRAMES
    assert not played.problem()
    for name in ACTIONS:
        assert played.action(name).max() > 0.6
        assert not played.action(name)[: STILL + 1].any()
    assert np.linalg.norm(played.head, axis=1).max() > 0.9 * YAW
    assert not still(9).head.any()


def test_what_was_played_is_perfect():
    played = script(100)
    found = compare(played, played, still(20), COSTS)
    assert found.head_median < 1e-4
    assert found.gaze_median < 1e-4
    assert found.lag == 0
    assert found.jitter == 0
    assert found.cost == pytest.approx(2)
    assert min(found.correlation.values()) > 0.999


def test_errors_are_measured():
    played = script()
    late = replace(
        played,
        expression=np.roll(played.expression, 2, 0),
        head=played.head + np.radians([0, 3, 0]),
        gaze=0 * played.gaze,
    )
    shaking = still(50)
    shaking = replace(shaking, head=np.random.default_rng(0).normal(0, np.radians(0.5), shaking.head.shape))
    found = compare(late, played, shaking, COSTS)
    assert found.lag == 2
    assert found.head_median == pytest.approx(3, abs=0.3)
    assert found.jitter == pytest.approx(0.5 * np.sqrt(3), rel=0.2)
    assert found.gaze_median > 4


def test_the_sample_is_the_script():
    sample = Performance.load(Path(__file__).parents[2] / "docs/performance/sample.jsonl")
    assert np.allclose(sample.head, script(100).head, atol=1e-6)
    assert np.allclose(sample.expression, script(100).expression, atol=1e-6)
