"""The corpus end to end: the command, a real Blender, files read again."""

import json
import shutil
import signal
import subprocess
from dataclasses import replace

import numpy as np
import pytest
from synthesized import COMMAND, SEED, synthesize

from backend.geometry.rasterizer import rasterize
from backend.people.synthesis.driver import CorpusConfig, synthesize_people
from backend.people.synthesis.files import LABELS, is_written, people, read_person, write_person
from backend.protocol.errors import TurboPortraitError
from flame import load_head_model

pytestmark = pytest.mark.slow
SIZE = 256


def test_the_same_seed_is_the_same_person(corpus, person, tmp_path):
    assert synthesize(tmp_path, views=1).returncode == 0
    again = read_person(people(tmp_path)[0])
    assert np.array_equal(again.vertices, person.vertices)
    # More views of a person change nothing in the first ones.
    assert again.cameras == person.cameras[:2]
    for k in range(2):
        assert np.abs(again.images[k].astype(int) - person.images[k]).max() <= 2
        assert np.array_equal(again.labels[k], person.labels[k])


def test_depth_and_labels_agree_with_the_exact_head_and_camera(person):
    model = load_head_model()
    own = replace(model, v_template=person.vertices)
    for k, (camera, parameters) in enumerate(zip(person.cameras, person.parameters, strict=True)):
        head = own.forward(None, parameters.expression, parameters.joint_rotations).vertices
        screen = np.concatenate([camera.project(head), camera.to_camera(head)[:, 2:]], 1)
        raster = rasterize(screen, model.faces, SIZE, SIZE)
        face = np.isin(model.faces, model.regions["face"]).all(1)
        bare = raster.covered & face[raster.triangle] & (person.labels[k] == LABELS["skin"])
        bare &= person.depth[k] > 0
        if abs(person.angles[k, 0]) > 60:
            continue
        assert bare.sum() > 1500
        # The pixel's middle and the path's place in it differ: by a slope's depth over a pixel, a millimetre or so.
        assert np.median(np.abs(person.depth[k] - raster.depth)[bare]) < 0.0012
        assert np.percentile((person.depth[k] - raster.depth)[bare], [5, 95]) == pytest.approx([0, 0], abs=0.006)


def test_the_matte_holds_the_landmarks_and_the_picture_shows_skin(person):
    for k in range(len(person.images)):
        if abs(person.angles[k, 0]) > 60:
            continue
        inside = np.clip(person.landmarks[k].astype(int), 0, SIZE - 1)
        # Those of the face's oval lie on its outline from the side.
        assert (person.images[k][inside[:, 1], inside[:, 0], 3] > 200).mean() > 0.93
        assert (person.images[k][..., 3] == 0).mean() > 0.1
        assert {LABELS["skin"], LABELS["clothing"]} <= set(np.unique(person.labels[k]))
        skin = person.images[k][(person.labels[k] == LABELS["skin"]) & (person.images[k][..., 3] == 255)]
        assert 20 < skin[:, :3].mean() < 245
        assert skin[:, 0].mean() > skin[:, 2].mean() - 5


def test_what_is_there_is_kept(corpus):
    before = {path: path.stat().st_mtime_ns for path in corpus.rglob("person_*/*")}
    done = synthesize(corpus)
    assert done.returncode == 0
    assert "1 were there" in done.stdout
    assert before == {path: path.stat().st_mtime_ns for path in corpus.rglob("person_*/*")}
    assert json.loads((corpus / "summary.json").read_text())["there"] == 1


def test_a_corpus_of_another_size_is_refused(corpus):
    with pytest.raises(TurboPortraitError, match="256 pixels"):
        is_written(corpus, SEED, 512, 4)


def test_a_blender_that_fails_is_named_for_each_person(tmp_path):
    broken = CorpusConfig(
        str(tmp_path), SEED, 1, 1, 64, 1, workers=1, blender=shutil.which("false"), components_only=True
    )
    summary = synthesize_people(broken, lambda outcome: None)
    assert [outcome.seed for outcome in summary.failed] == [SEED]
    assert "Blender ended" in summary.failed[0].error
    assert json.loads((tmp_path / "summary.json").read_text())["failed"][0]["seed"] == SEED


def test_of_held_out_people_alone_no_others_are_made(tmp_path):
    config = CorpusConfig(
        str(tmp_path), 2, 14, 1, 64, 1, blender=shutil.which("false"), components_only=True, held_out_only=True
    )
    assert sorted(outcome.seed for outcome in synthesize_people(config, lambda outcome: None).failed) == [7, 15]


def test_where_nobody_is_held_out_it_says_who_would_be(tmp_path):
    command = [*COMMAND, "synthesize", str(tmp_path), "--identities", "3", "--held-out-only"]
    refused = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert refused.returncode == 2
    assert "7, 15" in refused.stderr
    assert list(tmp_path.iterdir()) == []


def test_damage_is_named(corpus, tmp_path):
    (path,) = people(corpus)
    damaged = shutil.copytree(path, tmp_path / path.name)
    (damaged / "views.npz").write_bytes(b"PK nothing")
    with pytest.raises(TurboPortraitError, match="person_000011"):
        read_person(damaged)


def test_what_cannot_be_written_whole_leaves_nothing(tmp_path):
    with pytest.raises(TypeError, match="data type"):
        write_person(tmp_path, 1, {}, {}, {"view_00": np.array([[object()]])})
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_stops_the_run_and_is_named(tmp_path):
    pytest.importorskip("bpy")
    done = synthesize(tmp_path, views=1, most_bytes=100_000)
    assert done.returncode != 0
    assert "not enough room" in done.stderr
    assert people(tmp_path) == []
    assert [path.name for path in tmp_path.iterdir()] == ["summary.json"]
    assert json.loads((tmp_path / "summary.json").read_text())["failed"][0]["disk_full"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_run_in_order(tmp_path, number):
    pytest.importorskip("bpy")
    # More people than could be made meanwhile; the first one's end is the cue.
    command = [*COMMAND, "synthesize", tmp_path, "--identities", "500", "--views", "1", "--samples", "1",
               "--workers", "1", "--components-only"]  # fmt: skip
    run = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert any("2 views" in line for line in run.stdout)
        run.send_signal(number)
        said, _ = run.communicate(timeout=120)
    finally:
        run.kill()
    assert run.returncode == 128 + number
    assert f"Ended by {number.name}" in said
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["interrupted"]
    # The next one may have become whole as the signal came.
    assert len(summary["made"]) <= len(people(tmp_path)) <= len(summary["made"]) + 1
    assert list(tmp_path.glob("*.part")) == []
