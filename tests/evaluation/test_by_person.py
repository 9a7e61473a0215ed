"""Gains of single people, which no single person decides."""

import numpy as np
import pytest

from backend.evaluation.by_person import gains_by_person


def person(**methods):
    return {"inside": methods, "doubtful": {}}


def test_gains_are_means_over_people_and_positive_where_better():
    people = [
        person(raw={"PSNR": 20.0, "FLIP": 0.30}, refined={"PSNR": 22.0, "FLIP": 0.20}),
        person(raw={"PSNR": 30.0, "FLIP": 0.10}, refined={"PSNR": 31.0, "FLIP": 0.12}),
        person(raw={"PSNR": 10.0, "FLIP": 0.50, "ID": 0.9}, refined={"PSNR": 10.0, "FLIP": 0.49, "ID": 0.95}),
    ]
    found = gains_by_person(people, "refined", "raw", ("inside", "doubtful"))
    assert list(found) == ["inside"]
    psnr, flip = found["inside"]["PSNR"], found["inside"]["FLIP"]
    assert psnr == pytest.approx({"mean": 1.0, "error": 1 / np.sqrt(3), "better": 2, "people": 3})
    assert (flip["mean"], flip["better"]) == (pytest.approx(0.03), 2)
    # One person's figure has no error to be told.
    assert "ID" not in found["inside"]


def test_who_has_no_error_left_in_either_is_not_counted():
    perfect = person(raw={"PSNR": np.inf}, refined={"PSNR": np.inf})
    unmeasured = person(raw={"PSNR": 20.0}, refined={})
    people = [person(raw={"PSNR": 20.0}, refined={"PSNR": 21.0}), perfect, unmeasured]
    assert gains_by_person(people, "refined", "raw", ("inside",)) == {}
