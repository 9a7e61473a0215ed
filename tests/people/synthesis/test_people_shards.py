"""From a rendered person to a training shard: registered, aligned, checked, written."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from synthesized import SEED, data

from backend.avatars.bust import register_bust
from backend.metrics.psnr_ssim import psnr
from backend.people.pairing.alignment import Alignment
from backend.people.pairing.options import PairOptions
from backend.people.pairing.pairs import make_person_pairs
from backend.people.pairing.reference import LEAST_AGREEMENT, Rejected, true_camera
from backend.people.pairing.true_head import bust_of_truth
from backend.people.shards import read_identity, shards
from backend.people.synthesis.files import LABELS, people

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def aligned(corpus, person, model):
    portrait = next(corpus.glob("person_*")) / "portrait.png"
    return Alignment(person, register_bust(portrait.read_bytes(), model), model)


@pytest.fixture(scope="module")
def written(corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards")
    done = data("convert", corpus, folder, "--workers", 1)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 shards written" in done.stdout
    return folder


def test_the_portrait_keeps_every_pixel(aligned, person):
    avatar, points = aligned.avatar, aligned.vertices(0)
    moved, _ = aligned.move(0, points)
    before, after = true_camera(person.cameras[0], avatar.tracked).project(points), avatar.tracked.camera.project(moved)
    assert after == pytest.approx(before, abs=1e-3)
    # It is the depth that changes, and at the landmarks to the fitted one.
    nose = aligned.model.landmarks.face_index[4]
    nose = aligned.model.faces[nose, 0]
    fitted = avatar.tracked.camera.to_camera(avatar.tracked.vertices[[nose]])[0, 2]
    assert avatar.tracked.camera.to_camera(moved[[nose]])[0, 2] == pytest.approx(fitted, abs=0.013)


def test_a_head_is_as_deep_as_it_was_at_any_focal_length_that_the_tracker_guesses(aligned, person):
    true, tracked = aligned._true_camera, aligned.avatar.tracked.camera
    assert tracked.intrinsics[0, 0] < 0.8 * true.intrinsics[0, 0]
    points = aligned.vertices(0)
    before, after = true.to_camera(points), tracked.to_camera(aligned.move(0, points)[0])
    proportions = [np.ptp(side[:, 2]) / np.ptp(side[:, 0]) for side in (before, after)]
    assert proportions[1] == pytest.approx(proportions[0], rel=0.15)


def test_the_head_moves_in_the_fitted_space_as_the_avatar_does(aligned):
    """Vertices of another moment land where the avatar's own head model goes, but for what the fit is off."""
    then, _ = aligned.move(0, aligned.vertices(0))
    now, _ = aligned.move(4, aligned.vertices(4))
    sure = aligned.sure
    avatar_now = aligned.fitted_vertices(4)
    avatar_then = aligned.fitted_vertices(0)
    assert np.linalg.norm(avatar_now - avatar_then, axis=1)[sure].max() > 0.005
    off = (now - then) - (avatar_now - avatar_then)
    assert np.median(np.linalg.norm(off, axis=1)[sure]) < 0.0015


def test_angles_are_those_that_were_drawn(aligned, corpus):
    with np.load(next(corpus.glob("person_*")) / "views.npz", allow_pickle=False) as stored:
        drawn = stored["angles"]
    for view in range(len(drawn)):
        assert aligned.angles(view) == pytest.approx(drawn[view] - drawn[0], abs=6)


def test_the_shard_is_as_training_wants_it(written, person):
    (path,) = shards(written)
    identity = read_identity(path)
    assert identity.seed == SEED
    assert identity.raw.shape == (5, 256, 256, 4)
    with np.load(path, allow_pickle=False) as stored:
        assert stored["moment"].tolist() == [0, 0, 0, 0, 4]
        assert stored["agreement"] > LEAST_AGREEMENT
    assert identity.angles[0] == pytest.approx([0, 0], abs=1e-6)
    for k in (0, 1, 2, 4):
        seen = (identity.head[k] == 255) & (identity.raw[k, ..., 3] == 255) & (identity.truth[k, ..., 3] == 255)
        assert seen.mean() > 0.1
        # Clothes at the picture's foot are no target; hair and a bare neck may reach there.
        assert (identity.head[k, -8:] > 0).mean() < 0.1
        assert psnr(identity.raw[k, ..., :3], identity.truth[k, ..., :3], seen) > (30 if k == 0 else 13)


def test_aligning_brings_the_truth_nearer_to_the_avatar(person, model):
    found = []
    for aligned in (True, False):
        identity, _ = make_person_pairs(person, model, PairOptions(256, aligned))
        sure = (identity.head == 255) & (identity.raw[..., 3] == 255) & (identity.truth[..., 3] == 255)
        sure &= identity.confidence > 128
        found.append([psnr(identity.raw[k, ..., :3], identity.truth[k, ..., :3], sure[k]) for k in (1, 2)])
    assert np.mean(np.subtract(*found)) > 0.2


def test_to_compare_systems_the_truth_stays_as_it_is(corpus, person, model, tmp_path):
    """Only cameras come over to the fitted head, and with them the landmarks."""
    done = data("convert", corpus, tmp_path, "--unaligned")
    assert "1 shards written" in done.stdout, done.stdout + done.stderr
    (path,) = shards(tmp_path)
    identity = read_identity(path)
    labels = person.labels[3]
    assert (identity.truth[3] == np.where(person.images[3][..., 3:] > 0, person.images[3], 0)).all()
    shown = identity.head[3] == 255
    assert not np.isin(labels[shown], (0, LABELS["clothing"], LABELS["neck"])).any()
    assert shown[labels == LABELS["skin"]].mean() > 0.9
    with np.load(path, allow_pickle=False) as stored:
        camera = stored["cameras"][3]
        points = stored["landmarks"] @ camera[9:].reshape(4, 4)[:3, :3].T + camera[9:].reshape(4, 4)[:3, 3]
    seen = (points / points[:, 2:]) @ camera[:9].reshape(3, 3).T
    assert seen[:, :2] == pytest.approx(person.landmarks[3], abs=0.01)
    # Training must not take them for its own.
    refused = data("convert", corpus, tmp_path)
    assert "another making" in refused.stderr


def test_from_the_true_head_the_landmarks_and_the_outline_are_nearer(person, model):
    """What is left to the fit and to the regions goes; what one photo leaves open stays."""
    avatar = bust_of_truth(person, model)
    pixels = true_camera(person.cameras[0], avatar.tracked).project(model.landmark_positions(avatar.tracked.vertices))
    shown = person.landmarks[0] @ avatar.tracked.from_photo[:, :2].T + avatar.tracked.from_photo[:, 2]
    assert pixels == pytest.approx(shown, abs=0.05)
    overlaps = []
    for true_head in (False, True):
        identity, _ = make_person_pairs(person, model, PairOptions(256, False, true_head=true_head))
        ours, truth = (a[1:, ..., 3] > 127 for a in (identity.raw, identity.truth))
        heads = identity.head[1:] > 127
        overlaps.append((ours & truth & heads).sum() / ((ours | truth) & heads).sum())
    assert overlaps[1] > overlaps[0] - 0.01


def test_what_is_there_is_kept_and_the_rest_named(corpus, written):
    (path,) = shards(written)
    before = path.stat().st_mtime_ns
    (whole,) = people(corpus)
    damaged, faceless = (shutil.copytree(whole, corpus / f"person_{seed:06d}") for seed in (12, 13))
    for folder, seed in ((damaged, 12), (faceless, 13)):
        about = json.loads((folder / "person.json").read_text())
        (folder / "person.json").write_text(json.dumps(about | {"seed": seed}))
    (damaged / "views.npz").write_bytes(b"PK nothing")
    shutil.copy(faceless / "background_00.png", faceless / "portrait.png")
    try:
        for _ in range(2):
            done = data("convert", corpus, written)
            assert done.returncode == 0, done.stdout + done.stderr
            assert "0 shards written, 1 were there, 2 left out" in done.stdout
            skipped = json.loads((written / "summary.json").read_text())["skipped"]
            left_out = {entry["what"]: entry["reason"] for entry in skipped}
            assert "corpus cannot be used" in left_out["person_000012"]
            assert "not registered" in left_out["person_000013"]
    finally:
        shutil.rmtree(damaged)
        shutil.rmtree(faceless)
    assert path.stat().st_mtime_ns == before
    assert [json.loads(line)["seed"] for line in (written / "rejected.jsonl").read_text().splitlines()] == [13]


def test_a_portrait_that_is_not_the_person_is_turned_away(person, model):
    dark = replace(person, portrait=person.portrait // 2)
    with pytest.raises(Rejected, match="agree only"):
        make_person_pairs(dark, model, PairOptions(256))


def test_shards_of_another_making_are_not_taken_for_these(corpus, written, tmp_path):
    (path,) = shards(written)
    with np.load(path, allow_pickle=False) as stored:
        np.savez(tmp_path / path.name, **{name: stored[name] for name in stored.files if name != "moment"})
    done = data("convert", corpus, tmp_path)
    assert done.returncode != 0
    assert "another making" in done.stderr
    assert "another folder" in done.stderr


def test_a_full_disk_stops_the_conversion_and_leaves_no_half_shard(corpus, tmp_path):
    done = data("convert", corpus, tmp_path, most_bytes=200_000)
    assert done.returncode != 0
    assert "not enough room" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["summary.json"]
