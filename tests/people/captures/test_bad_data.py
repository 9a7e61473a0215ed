"""What is wrong with a data set is named and left out; what is right still loads."""

import io
import json
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))

from layouts import write_ava256, write_nersemble_1, write_panohead

from backend.people.captures.files import decode
from backend.people.captures.loading import LoadingSummary, load_subjects, open_source
from backend.people.captures.subject import Unusable
from backend.protocol.errors import TurboPortraitError

SIZE = 64


def load(folder: Path):
    source = open_source(folder)
    summary = LoadingSummary(source.name)
    return list(load_subjects(source, SIZE, summary)), summary


def reasons(summary: LoadingSummary) -> str:
    return "\n".join(f"{entry.what}: {entry.reason}" for entry in summary.skipped)


@pytest.mark.slow
def test_participants_with_damage_are_skipped_and_the_others_load(tmp_path, rig):
    write_nersemble_1(tmp_path, rig, "018")
    (write_nersemble_1(tmp_path, rig, "019") / "camera_params.json").unlink()
    (write_nersemble_1(tmp_path, rig, "020") / "camera_params.json").write_text("{")
    unknown = write_nersemble_1(tmp_path, rig, "021") / "camera_params.json"
    params = json.loads(unknown.read_text())
    gone = rig.shots[0].name
    del params["world_2_cam"][gone]
    unknown.write_text(json.dumps(params))
    frames = write_nersemble_1(tmp_path, rig, "022") / "sequences" / "EMO-1-shout+laugh" / "frame_00007"
    damaged = frames / "images-2x-73fps" / f"cam_{rig.shots[1].name}.png"
    damaged.write_bytes(damaged.read_bytes()[:5000])
    sides = write_nersemble_1(tmp_path, rig, "023") / "sequences" / "EMO-1-shout+laugh" / "frame_00007"
    for shot in rig.shots:
        if abs(shot.yaw) < 30:
            (sides / "images-2x-73fps" / f"cam_{shot.name}.png").unlink()
    (tmp_path / "024").mkdir()

    subjects, summary = load(tmp_path)
    assert [subject.identity for subject in subjects] == ["018", "021", "022"]
    assert [len(subject.targets) for subject in subjects] == [4, 3, 3]
    told = reasons(summary)
    for words in (
        "019: camera_params.json is missing",
        "020: camera_params.json cannot be read",
        f"camera {gone}: camera_params.json does not know this camera",
        f"cam_{rig.shots[1].name}.png is damaged",
        "023 EMO-1-shout+laugh/00007: there is no frontal view",
        "024: camera_params.json is missing",
    ):
        assert words in told
    assert len(summary.skipped) == 6


@pytest.mark.slow
def test_a_capture_with_damaged_zips_keeps_its_other_cameras(tmp_path, rig):
    decoder = write_ava256(tmp_path, rig)
    first, second, third = sorted((decoder / "image").glob("*.zip"))[:3]
    first.write_bytes(first.read_bytes()[:100])
    with zipfile.ZipFile(second, "w") as archive:
        archive.writestr(f"{second.stem}/000999.avif", b"")
    parts = decoder / "segmentation_parts" / sorted(decoder.glob("image/*.zip"))[4].name
    parts.write_bytes(b"PK")
    subjects, summary = load(tmp_path)
    assert [len(subject.targets) for subject in subjects] == [1]
    told = reasons(summary)
    assert f"{first.name} is damaged" in told
    assert f"{second.name} has no {second.stem}/000123.avif" in told
    assert f"{parts.name} is damaged" in told
    assert third.name not in told


@pytest.mark.slow
def test_labels_that_are_none_are_told_and_mirrored_copies_left_out(tmp_path, rig):
    folder = write_panohead(tmp_path, rig)
    write_panohead(tmp_path, rig, "seed0002", yaws=(3,))
    path = folder / "dataset.json"
    labels = json.loads(path.read_text())["labels"]
    good = labels[0][1]
    labels += [["seed0003/00.png", good[:24]], ["../outside.png", good], 7, ["seed0001/09_mirror.png", good]]
    path.write_text(json.dumps({"labels": labels}))
    subjects, summary = load(folder)
    assert [subject.identity for subject in subjects] == ["seed0001"]
    told = reasons(summary)
    for words in (
        "the label of seed0003/00.png has shape (24,)",
        "outside.png",
        "mirrored copy",
        "seed0002 0: there is no view besides the reference",
    ):
        assert words in told


def test_a_folder_without_any_data_set_says_so(tmp_path):
    with pytest.raises(TurboPortraitError) as caught:
        open_source(tmp_path)
    assert caught.value.code == "unknown_data"
    (tmp_path / "dataset.json").write_text('{"labels": null}')
    with pytest.raises(TurboPortraitError, match="no list of labels"):
        open_source(tmp_path)


def test_a_picture_with_too_many_pixels_is_not_read():
    buffer = io.BytesIO()
    Image.new("1", (9_000, 8_000)).save(buffer, "PNG")
    with pytest.raises(Unusable, match="too many"):
        decode(buffer.getvalue(), "huge.png")


def test_labels_keep_their_values():
    buffer = io.BytesIO()
    labels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    Image.fromarray(labels).save(buffer, "PNG")
    assert (decode(buffer.getvalue(), "labels.png", labels=True) == labels).all()
