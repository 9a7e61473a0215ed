"""`turboportrait evaluate tables` from end to end: a synthetic person made here, measured, and written down."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "training"))

import numpy as np
import pytest
from PIL import Image
from published_files import Colours
from tiny_corpus import write_tiny_corpus
from tiny_preset import write_tiny_preset
from typer.testing import CliRunner

from backend.commands.evaluate import app
from backend.evaluation.agreement import measure_flicker
from backend.evaluation.full_report import _some
from backend.evaluation.measures import Measures, Tally
from backend.evaluation.portrait_report import YAWS, measure_portrait
from backend.evaluation.portraits import real_portraits
from backend.evaluation.rotation import band_of, by_yaw, nearest_yaw
from backend.evaluation.subject import Subject
from backend.evaluation.tables import measure_tables
from backend.evaluation.views import BLIND, UNATTENDED
from backend.people.shards import load_identities, shards
from backend.people.tasks import export_tasks, parse_views
from backend.protocol.errors import TurboPortraitError
from backend.refiner import Refiner
from backend.tracking.embedding import with_landmarks
from flame import load_head_model


@pytest.fixture(scope="module")
def refiner(tmp_path_factory) -> Refiner:
    """One that changes nothing."""
    folder = write_tiny_preset(tmp_path_factory.mktemp("preset") / "tiny", size=128)
    return Refiner.from_config(folder).prepare()


@pytest.fixture(scope="module")
def astronaut() -> Subject:
    return Subject.of_photo(real_portraits()["astronaut"], with_landmarks(load_head_model()), 128)


@pytest.mark.slow
def test_a_corpus_gives_tables_and_says_what_is_missing(tmp_path):
    write_tiny_corpus(tmp_path / "corpus", range(7, 24), size=64)
    refiner = Refiner.from_config(write_tiny_preset(tmp_path / "tiny", size=64))
    refiner.save_pretrained(tmp_path / "preset")
    output = tmp_path / "out"
    result = CliRunner().invoke(
        app,
        ["tables", str(tmp_path / "corpus"), "--preset", str(tmp_path / "preset"), "--output", str(output),
         "--identities", "2", "--multistep", "1", "--orbit", "3"],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    report = json.loads((output / "tables.json").read_text())
    assert (report["identities"], report["views"]) == (2, 4)
    for region in ("inside", "all", "confident", "doubtful"):
        raw, refined = report["table1"][region]["raw"], report["table1"][region]["refined"]
        # This refiner changes nothing, and the raw view is a flat colour: a blur of it is the same.
        assert refined == raw
        assert raw["PSNR"] == pytest.approx(-10 * np.log10(raw["L2"]))
    unchanged = {"mean": 0, "error": 0, "better": 0, "people": 2}
    assert report["by person"]["raw"]["inside"] == dict.fromkeys(("PSNR", "SSIM", "FLIP"), unchanged)
    assert list(report["table2"]) == ["0.0", "0.1", "0.2", "0.3", "0.4", "0.5"]
    assert list(report["views together"]) == ["1", "2"]
    assert set(report["first pairs"]["inside"]) == {"raw", "refined", "25 steps", "50 steps"}
    assert report["seconds"]["50 steps"] > report["seconds"]["refine"]
    for portrait in ("astronaut", "hopper"):
        assert report["flicker"][portrait]["ratio"] == pytest.approx(1)
        assert report["portraits"][portrait]["frontal"]["inside"]["raw"]["PSNR"] > 25
    reached = {target["what"]: target["reached"] for target in report["targets"]}
    assert reached["PSNR over raw, inside both outlines"] is False
    assert reached["PSNR no worse than raw, where the photo is sure"] is True
    assert reached["ID over raw, inside both outlines"] is None  # The discs show no face.
    assert reached["weights"] is True
    page, text = (output / "tables.html").read_text(), (output / "tables.md").read_text()
    for measure, what in report["not available"].items():
        assert f"{measure} is not available: it needs {what}" in text
    for stem in ("held_out", "astronaut", "hopper", "table2"):
        assert f'<img src="{stem}.png">' in page
        Image.open(output / f"{stem}.png").verify()
    assert "LPIPS |" not in text.split("with their outlines")[1].split("##")[0]


@pytest.mark.slow
def test_fid_stands_in_table_1_where_its_network_is_there(refiner, tmp_path):
    write_tiny_corpus(tmp_path, range(7, 16), size=128)
    measures = Measures(flip=False, inception=Colours())
    model = with_landmarks(load_head_model())
    found = measure_tables(refiner, load_identities(tmp_path, held_out=True), model, measures, multistep=0)
    table1 = found.as_dict()["table1"]
    assert set(table1["inside"]) == {"raw", "blur 1.5", "blur 3", "refined", BLIND, UNATTENDED}
    for methods in (table1["inside"], table1["all"]):
        assert all(np.isfinite(values["FID"]) for values in methods.values())
        assert methods["refined"]["FID"] == pytest.approx(methods["raw"]["FID"], abs=1e-6)
    assert "FID" not in table1["doubtful"]["raw"]


def test_bands_reach_to_either_side():
    assert [band_of(yaw) for yaw in (-35, 0, 35.5, -75, 75.1, -180)] == [35, 35, 75, 75, 180, 180]


def test_views_are_sorted_by_the_nearest_yaw_of_figure_6():
    found = [nearest_yaw(yaw) for yaw in (-100, -46, -44, 0, 14, 31, 75.1, 105, 106, -160)]
    assert found == [-90, -60, -30, 0, 0, 30, 90, 90, None, None]
    measures, picture = Measures(flip=False), np.full((32, 32, 3), 90.0)
    everywhere, nowhere = np.ones((32, 32), bool), np.zeros((32, 32), bool)
    masks = {"confident": everywhere, "doubtful": nowhere, "silhouette": nowhere}
    views = []
    for yaw, error in ((-3.0, 10), (2.0, 30), (58.0, 5), (170.0, 99)):
        tally = Tally(measures)
        tally.add({"raw": picture + error}, picture, masks, None)
        views.append((yaw, tally))
    errors = {yaw: tally.table()["inside"]["raw"]["L2"] for yaw, tally in by_yaw(views).items()}
    assert errors == {0: pytest.approx((10**2 + 30**2) / 2 / 255**2), 60: pytest.approx((5 / 255) ** 2)}


@pytest.mark.slow
def test_frames_of_one_surface_agree_where_both_see_it(refiner, astronaut):
    orbit = measure_flicker(refiner, astronaut, 5)
    assert orbit.pairs == 4
    assert orbit.ratio == 1
    # Against what the same pictures differ by without the motion.
    raw, _ = astronaut.views(refiner, astronaut.cameras((0, 15)))
    both = (raw[0].rgba[..., 3] == 255) & (raw[1].rgba[..., 3] == 255)
    still = np.abs(raw[0].rgba[both][:, :3].astype(float) - raw[1].rgba[both][:, :3]).mean()
    assert orbit.difference["raw"] < still / 2


@pytest.mark.slow
def test_a_portrait_is_most_like_itself_from_the_front(refiner, astronaut):
    found = measure_portrait(refiner, astronaut, Measures.at_hand())
    assert list(found.likeness) == [str(yaw) for yaw in YAWS]
    raw = [both["raw"] for both in found.likeness.values()]
    assert int(np.argmax(raw)) == 2
    assert all(both["raw"] == both["refined"] for both in found.likeness.values())
    assert found.frontal["inside"]["raw"] == found.frontal["inside"]["refined"]
    assert found.sheet.shape == (2 * 128, 5 * 128, 3)


def test_the_people_of_the_tables_are_drawn_from_all_of_a_corpus():
    """Those of one making lie side by side in it; the same ones are drawn each time, and a few are among the many."""
    drawn = _some(list(range(40)), 16)
    assert len(set(drawn)) == 16
    assert min(sum(k < 20 for k in drawn), sum(k >= 20 for k in drawn)) >= 4
    assert _some(list(range(40)), 4) == drawn[:4]
    assert sorted(_some(list(range(3)), 16)) == [0, 1, 2]


def test_people_whom_something_was_chosen_by_can_be_left_out(tmp_path):
    everyone = _some(list(range(40)), None)
    assert sorted(everyone) == list(range(40))
    assert _some(list(range(40)), None, 16) == everyone[16:]
    assert _some(list(range(40)), 4, 16) == everyone[16:20]
    write_tiny_corpus(tmp_path / "corpus", range(7, 9), size=64)
    Refiner.from_config(write_tiny_preset(tmp_path / "tiny", size=64)).save_pretrained(tmp_path / "preset")
    command = ["tables", str(tmp_path / "corpus"), "--preset", str(tmp_path / "preset"), "--leave-out", "1"]
    with pytest.raises(TurboPortraitError, match="no more than 1 held-out"):
        CliRunner().invoke(app, command, catch_exceptions=False)


@pytest.fixture
def tasks(tmp_path):
    """Held-out people with cameras, their tasks, and views that another system made: the true ones."""
    write_tiny_corpus(tmp_path / "corpus", range(7, 17), size=64)
    for path in shards(tmp_path / "corpus"):
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        count = len(arrays["raw"])
        camera = [*np.diag([80.0, 80, 1]).ravel(), *np.eye(4).ravel()]
        np.savez(path, **arrays, cameras=np.tile(camera, (count, 1)))
    assert export_tasks(tmp_path / "corpus", tmp_path / "tasks") == 2
    for identity in load_identities(tmp_path / "corpus", held_out=True):
        folder = tmp_path / "views" / f"identity_{identity.seed:06d}"
        folder.mkdir(parents=True)
        told = json.loads((tmp_path / "tasks" / folder.name / "cameras.json").read_text())
        for k, view in enumerate(told["views"], 1):
            assert (np.array(view["K"]) == np.diag([80.0, 80, 1])).all()
            Image.fromarray(identity.truth[k]).save(folder / f"{view['name']}.png")
    return tmp_path


def test_another_system_is_told_where_the_landmarks_lie(tasks):
    path = shards(tasks / "corpus")[0]
    landmarks = np.random.default_rng(0).random((478, 3)).astype(np.float32)
    with np.load(path, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    np.savez(path, **arrays, landmarks=landmarks)
    export_tasks(tasks / "corpus", tasks / "tasks")
    told = json.loads((tasks / "tasks" / path.stem / "cameras.json").read_text())
    assert np.float32(told["landmarks"]) == pytest.approx(landmarks)


def test_views_of_another_system_are_a_row_of_table_1(tasks):
    measures = Measures(flip=False)
    refiner = Refiner.from_config(write_tiny_preset(tasks / "tiny", size=64)).prepare()
    people = load_identities(tasks / "corpus", held_out=True)
    given = [parse_views(f"theirs={tasks / 'views'}")]
    model = with_landmarks(load_head_model())
    found = measure_tables(refiner, people, model, measures, multistep=0, given=given).as_dict()["table1"]["inside"]
    assert found["theirs"]["L2"] == 0
    assert found["raw"]["L2"] > 0
    # Another system is judged by its own outline.
    for path in (tasks / "views").rglob("*.png"):
        theirs = np.array(Image.open(path))
        theirs[:32, :, 3] = 0
        Image.fromarray(theirs).save(path)
    found = measure_tables(refiner, people, model, measures, multistep=0, given=given).as_dict()
    (band,) = found["bands"].values()
    assert band["views"] == found["views"]
    assert band["all"]["raw"]["IoU"] == 1
    assert band["all"]["theirs"]["IoU"] == pytest.approx(0.5, abs=0.02)
    assert band["all"]["theirs"]["L2"] > band["inside"]["theirs"]["L2"] == 0
    assert found["table1"]["inside"]["raw"].keys() & {"IoU"} == set()
    (tasks / "views" / "identity_000015" / "view_01.png").unlink()
    with pytest.raises(TurboPortraitError, match=r"theirs: .*view_01\.png"):
        measure_tables(refiner, people, model, measures, multistep=0, given=given)


@pytest.mark.parametrize("text", ["nothing", "=folder", "name=", "name=/nowhere/at/all"])
def test_views_are_named_with_their_folder(text):
    with pytest.raises(ValueError, match="NAME=FOLDER"):
        parse_views(text)
