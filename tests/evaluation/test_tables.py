"""`turboportrait evaluate tables` from end to end: a synthetic person made here, measured, and written down."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "training"))

import numpy as np
import pytest
from tiny_corpus import write_tiny_corpus
from tiny_preset import write_tiny_preset
from typer.testing import CliRunner

from backend.evaluation import rotation, tables_report
from backend.evaluation.cli import app
from backend.evaluation.measures import WHOLE, Measures
from backend.evaluation.regions import REGIONS
from backend.protocol.errors import TurboPortraitError
from backend.refiner import Refiner
from backend.tracking.embedding import with_landmarks
from flame import load_head_model

SEED = 7


@pytest.fixture(scope="module")
def refiner(tmp_path_factory) -> Refiner:
    """One that changes nothing."""
    folder = write_tiny_preset(tmp_path_factory.mktemp("preset") / "tiny", size=128)
    return Refiner.from_config(folder).prepare()


@pytest.fixture(scope="module")
def person() -> rotation.Turned:
    return rotation.turn(SEED, with_landmarks(load_head_model()), 128)


@pytest.mark.slow
def test_a_corpus_without_people_made_from_seeds_gives_tables_and_says_what_is_missing(tmp_path):
    write_tiny_corpus(tmp_path / "corpus", range(7, 24), size=64)
    refiner = Refiner.from_config(write_tiny_preset(tmp_path / "tiny", size=64))
    refiner.save_pretrained(tmp_path / "preset")
    output = tmp_path / "out"
    result = CliRunner().invoke(
        app,
        ["tables", str(tmp_path / "corpus"), "--preset", str(tmp_path / "preset"), "--output", str(output),
         "--identities", "2"],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "Figure 6 is not available" in result.output
    report = json.loads((output / "tables.json").read_text())
    assert (report["identities"], report["views"]) == (2, 4)
    for region in ("all", "confident", "doubtful"):
        raw, refined = report["table1"][region]["raw"], report["table1"][region]["refined"]
        # This refiner changes nothing, and the raw view is a flat colour: a blur of it is the same.
        assert refined == raw
        assert raw["PSNR"] == pytest.approx(-10 * np.log10(raw["L2"]))
    assert list(report["table2"]) == ["0.0", "0.1", "0.2", "0.3", "0.4", "0.5"]
    assert list(report["views together"]) == ["1", "2"]
    assert set(report["first pairs"]["all"]) == {"raw", "refined", "25 steps", "50 steps"}
    assert report["seconds"]["50 steps"] > report["seconds"]["refine"]
    page, text = (output / "tables.html").read_text(), (output / "tables.md").read_text()
    assert page.count("<img") == 2
    for measure, what in report["not available"].items():
        assert f"{measure} is not available: it needs {what}" in text
    assert "LPIPS |" not in text


@pytest.mark.slow
def test_a_turned_person_looks_best_from_the_front(refiner, person):
    by_yaw = rotation.measure_rotation(refiner, [person], Measures(flip=False))
    psnr = [by_yaw[yaw].table()["all"]["raw"]["PSNR"] for yaw in rotation.YAWS]
    assert int(np.argmax(psnr)) == 3
    assert psnr[3] > 28
    assert min(psnr) < 22
    assert by_yaw[0].table()["all"]["refined"] == by_yaw[0].table()["all"]["raw"]
    assert rotation.sheet(refiner, person).shape == (3 * 128, 7 * 128, 3)


@pytest.mark.slow
def test_a_person_made_again_is_known_from_another(person):
    assert rotation.is_the_person(person, person.reference)
    mirrored = np.ascontiguousarray(person.reference[:, ::-1])
    assert not rotation.is_the_person(person, mirrored)
    assert not rotation.is_the_person(person, np.zeros_like(person.reference))


@pytest.mark.slow
def test_views_of_one_surface_agree_where_both_see_it(refiner, person):
    orbit = rotation.measure_agreement(refiner, person, rotation.orbit_cameras(person, 5))
    assert orbit.pairs == 4
    assert orbit.raw == orbit.refined
    # Against what the same pictures differ by without the motion.
    cameras = rotation.orbit_cameras(person, 5)
    raw, _ = rotation.views_at(refiner, person, cameras)
    both = (raw[2].rgba[..., 3] == 255) & (raw[3].rgba[..., 3] == 255)
    still = np.abs(raw[2].rgba[both][:, :3].astype(float) - raw[3].rgba[both][:, :3]).mean()
    assert orbit.raw < still / 2


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    report = {"preset": "x", "seconds": {}, "table1": {name: {} for name in (WHOLE, *REGIONS)},
              "views": 0, "identities": 0, "first pairs": {"views": 0}, "table2": {}, "views together": {},
              "turned people": 0, "recogniser": None, "ID of strangers": None, "not available": {}}  # fmt: skip
    with pytest.raises(TurboPortraitError) as caught:
        tables_report.write(report, {}, tmp_path / "file" / "out")
    assert caught.value.code == "cannot_write"
