"""The report on a refiner, with a small one and a small corpus."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "training"))

from tiny_corpus import write_tiny_corpus
from tiny_preset import write_tiny_preset

from backend.evaluation.refiner_report import METHODS, judge_identities
from backend.refiner import Refiner
from backend.training.corpus import load_identities


def test_a_refiner_that_changes_nothing_scores_as_raw(tmp_path):
    write_tiny_corpus(tmp_path / "corpus", range(7, 8))
    refiner = Refiner.from_config(write_tiny_preset(tmp_path / "tiny")).prepare()
    scores = judge_identities(refiner, load_identities(tmp_path / "corpus", held_out=True))
    assert scores.views == 2
    for by_method in scores.table().values():
        assert tuple(by_method) == METHODS
        assert by_method["refined"] == by_method["raw"] == by_method["no reference"]
