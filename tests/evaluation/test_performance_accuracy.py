"""What is measured of a tracked performance: nothing where it is what was played, and what was done to it otherwise."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from backend.commands.evaluate import app
from backend.commands.evaluate_performance import named
from backend.evaluation.acting import FRAMES, STILL, YAW, script, still
from backend.evaluation.performance import ACTIONS, compare
from backend.evaluation.performance_report import performance_table
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


@pytest.fixture
def report():
    """One person that was tracked without error, and one as wrong as may be, but for the lag."""
    played = script(100)
    perfect = asdict(compare(played, played, still(20), COSTS))
    bad = perfect | {"head_median": 2.04, "head_95": 5.06, "gaze_median": 5.04, "lag": 1, "jitter": 0.31, "cost": 2.6}
    return {"frames": 100, "machine": "a machine", "people": {"ada": perfect, "bea": bad}}


def test_figures_are_shown_beside_what_is_asked(report):
    table = performance_table(report)
    assert table.heads == ["", "asked", "ada", "bea", "reached"]
    rows = {row[0]: row[1:] for row in table.rows}
    # Compared as they are shown.
    assert rows["head rotation, median"] == ["2°", "0.0°", "2.0°", "2 of 2"]
    assert rows["head rotation, 95 % of the frames within"] == ["5°", "0.0°", "5.1°", "1 of 2"]
    assert rows["correlation of jawOpen"] == ["0.90", "1.00", "1.00", "2 of 2"]
    assert rows["lag"][-1] == rows["jitter of a still head"][-1] == "1 of 2"
    assert rows["frames lost"] == ["", "0", "0", ""]


def test_a_document_gets_the_figures(report, tmp_path):
    page, figures = tmp_path / "page.md", tmp_path / "performance.json"
    page.write_text("before\n<!-- performances -->\nold\n<!-- end -->\n<!-- table: targets -->\nkept\n<!-- end -->\n")
    figures.write_text(json.dumps(report))
    said = CliRunner().invoke(app, ["document", str(figures), str(page)])
    assert said.exit_code == 0, said.output
    text = page.read_text()
    assert "| lag | 0 frames | 0 frames | 1 frames | 1 of 2 |" in text
    assert "a machine" in text
    assert text.startswith("before\n")
    assert text.endswith("<!-- table: targets -->\nkept\n<!-- end -->\n")
    assert "old" not in text


def test_a_corpus_portraits_are_told_apart(tmp_path):
    paths = [tmp_path / person / "portrait.png" for person in ("person_7", "person_15")]
    assert named([*paths, tmp_path / "me.jpg"]) == dict(
        zip(("person_7", "person_15", "me"), [*paths, tmp_path / "me.jpg"], strict=True)
    )
