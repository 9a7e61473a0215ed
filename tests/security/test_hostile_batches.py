"""Pose files and shot lists of strangers: each is refused with a sentence, at once, and nothing lies anywhere else."""

import io
import json
import os
import struct
import sys
import zipfile
from pathlib import Path

import msgspec
import numpy as np
import opentimelineio as otio
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "pipeline"))
sys.path.insert(0, str(Path(__file__).parents[1] / "batch"))

from little_shots import little_pipeline, little_poses

from backend.batch.checks import check_shots
from backend.batch.job import Job
from backend.batch.movies import MovieTask, make_movie
from backend.batch.patterns import frame_path
from backend.batch.plan import BatchSettings, make_plan
from backend.batch.prepare import Request, prepare
from backend.batch.problems import BatchRefused
from backend.batch.rendering import FrameRenderer
from backend.batch.shot_lists import read_shot_list
from backend.protocol.errors import TurboPortraitError
from backend.protocol.pose_file import PoseFile, SceneView
from backend.protocol.shots import DEFAULT_OUTPUT, Shot


def with_header(tmp_path, **changes) -> Path:
    """A pose file of two shots whose header says something else."""
    poses = little_poses()
    poses.save(tmp_path / "good.npz")
    with np.load(tmp_path / "good.npz") as good:
        arrays = {name: good[name] for name in good.files}
    header = json.loads(arrays["header"].tobytes()) | changes
    header = {key: value for key, value in header.items() if value is not None}
    arrays["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    np.savez(tmp_path / "bad.npz", **arrays)
    return tmp_path / "bad.npz"


def shot(**changes) -> dict:
    return msgspec.to_builtins(Shot("turn", 1, 6, "Cam", width=64, height=48)) | changes


@pytest.mark.parametrize(
    "changes",
    [
        {"fps": [1, 0]},
        {"fps": [0, 1]},
        {"fps": [-24, -1]},
        {"fps": [10**18, 1]},
        {"fps": None},
        {"shots": None},
        {"heads": None},
        {"shots": [shot(last=10**18)]},
        {"shots": [shot(last=10**24)]},
        {"shots": [shot(first=-(10**15))]},
        {"shots": [shot(width=10**9)]},
        {"shots": [shot(height=0)]},
        {"shots": [shot(last=500_000)] * 3},
        {"shots": [shot(name="s" * 10)] * 20_000},
        {"background": [1e999, 0, 0]},
        {"views": []},
        {"views": [{"name": "left", "suffix": "_L"}] * 17},
        {"views": [{"name": "left", "suffix": 1}]},
        {"shots": [shot(last=100_000)], "views": [{"name": "left", "suffix": str(eye)} for eye in range(16)]},
    ],
)
def test_a_header_that_promises_too_much_or_too_little(tmp_path, changes):
    with pytest.raises(TurboPortraitError) as error:
        PoseFile.load(with_header(tmp_path, **changes))
    assert error.value.code == "bad_pose_file"


def zipped(path: Path, *members: tuple[str, bytes], pack=zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", pack) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return path


def encrypted(path: Path) -> Path:
    data = bytearray(little_poses().save(path) or path.read_bytes())
    for mark, at in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        start = -1
        while (start := data.find(mark, start + 1)) >= 0:
            data[start + at] |= 1
    path.write_bytes(data)
    return path


def bomb(path: Path) -> Path:
    """A hundred arrays of zeros, 100 MB each, in half a megabyte."""
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(100_000_000, np.uint8))
    packed = zipped(path.with_suffix(".one"), ("K.npy", buffer.getvalue()))
    with zipfile.ZipFile(packed) as one:
        info = one.infolist()[0]
    data = packed.read_bytes()
    central = data.rindex(b"PK\1\2")
    end = data.rindex(b"PK\5\6")
    # The same packed bytes under a hundred names.
    entries = b"".join(data[central:end].replace(b"K.npy", b"%05d" % number) for number in range(100))
    tail = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 100, 100, len(entries), central, 0)
    assert info.file_size > 1e8
    path.write_bytes(data[:central] + entries + tail)
    return path


def many_names(path: Path) -> Path:
    return zipped(path, *((f"{number}.npy", b"") for number in range(20_000)), pack=zipfile.ZIP_STORED)


def damaged(path: Path) -> Path:
    little_poses().save(path)
    data = bytearray(path.read_bytes())
    for at in range(100, len(data) // 2, 7):
        data[at] ^= 0x55
    path.write_bytes(data)
    return path


def deep_header(path: Path) -> Path:
    text = b"(" * 9000
    array = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text
    return zipped(path, ("K.npy", array))


@pytest.mark.parametrize("make", [encrypted, bomb, many_names, damaged, deep_header])
def test_zips_that_are_no_pose_files(tmp_path, make):
    with pytest.raises(TurboPortraitError) as error:
        PoseFile.load(make(tmp_path / "poses.npz"))
    assert error.value.code == "bad_pose_file"


def refused(output: Path, poses: PoseFile) -> str:
    """What is said of a pose file; nothing is written but the job's own folder."""
    heads = tuple(msgspec.structs.replace(head, maker="bust") for head in poses.header.heads)
    header = msgspec.structs.replace(poses.header, heads=heads)
    PoseFile(header, poses.columns, poses.portraits).save(output.parent / "poses.npz")
    with pytest.raises(BatchRefused) as error:
        prepare(Request(output, poses=output.parent / "poses.npz", settings=BatchSettings("raw")))
    assert [path.name for path in output.iterdir()] == ["job"]
    (problem,) = error.value.problems
    return problem.sentence


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"name": "../out"}, "can't name a folder"),
        ({"name": "/tmp/out"}, "can't name a folder"),
        ({"name": "job"}, "the job's own"),
        ({"name": "index.html"}, "the contact sheet"),
        ({"name": "NUL"}, "for a device"),
        ({"name": "x" * 300}, "longer than 200 bytes"),
        ({"output": "/tmp/{frame}.png"}, "below the output folder"),
        ({"output": "../{shot}{frame}.png"}, "below the output folder"),
        ({"output": "{shot}{frame}.txt"}, "in place of .png or .exr"),
        ({"output": "{shot}{frame}"}, "in place of .png or .exr"),
        ({"portrait": "nowhere.png"}, "'nowhere.png' cannot be used"),
        ({"quality": "../x"}, "is not ready here"),
        ({"last": 0}, "is reversed"),
    ],
)
def test_what_a_shot_list_may_not_a_pose_file_may_not(tmp_path, bad, said):
    one = msgspec.structs.replace(Shot("turn", 1, 1, "Cam", width=64, height=48), **bad)
    assert said in refused(tmp_path / "out", little_poses([one]))


@pytest.mark.parametrize("suffix", ["/../../x", "/x", "\\x", ":x", "\n", "x" * 300])
def test_a_views_suffix_leads_nowhere(tmp_path, suffix):
    said = refused(
        tmp_path / "out",
        little_poses([Shot("turn", 1, 1, "Cam", width=64, height=48)], views=[SceneView("left", suffix)]),
    )
    assert "can't name" in said


@pytest.mark.parametrize("camera", ["..", "../../etc", "a/b", "/", "C:\\x", "con", "x" * 300, "\n", ".", ""])
def test_a_cameras_name_leads_nowhere(camera):
    """{camera} is made fit, or the shot is refused."""
    one = Shot("turn", 1, 1, camera, output="{camera}/{frame}.png")
    if not check_shots([one], [], DEFAULT_OUTPUT):
        folder, name = frame_path(one.output, one, 1).split("/")
        assert name == "1.png"
        assert folder not in ("", ".", "..")
        assert not {*'<>:"|?*\\\n'} & {*folder}


def test_links_in_the_output_folder_lead_nowhere(tmp_path):
    """A folder that came with a .blend holds a link: neither pictures nor movies go through it."""
    elsewhere, output = tmp_path / "elsewhere", tmp_path / "out"
    elsewhere.mkdir()
    output.mkdir()
    (output / "turn").symlink_to(elsewhere)
    job = Job(output)
    job.prepare()
    plan = make_plan(little_poses(), BatchSettings("raw"), {}, {})
    renderer = FrameRenderer(little_pipeline(), output, job.folder, plan.photos, {})
    records = renderer.render([plan.task(0), plan.task(len(plan) - 1)])
    assert [record.code for record in records] == ["cannot_write", ""]
    movie = MovieTask("turn", "h264", "0" * 64, "../turn.mp4", (plan.path(len(plan) - 1),), (24, 1), 40, 40, (0, 0, 0))
    assert make_movie(movie, output, job.folder).code == "cannot_write"
    assert list(elsewhere.iterdir()) == []
    assert not (tmp_path / "turn.mp4").exists()


def test_a_file_of_another_kind_is_never_overwritten(tmp_path):
    """Whatever a worker is told, by whoever: it writes pictures below its folder."""
    job = Job(tmp_path / "out")
    job.prepare()
    plan = make_plan(little_poses(), BatchSettings("raw"), {}, {})
    renderer = FrameRenderer(little_pipeline(), job.output, job.folder, plan.photos, {})
    kept = tmp_path / "kept.txt"
    kept.write_text("mine")
    paths = [str(kept), "../kept.txt", "../kept.png", "kept.txt", "job/lock.json", "job/a.png", "a/../../kept.png"]
    (picture,), replace = plan.task(0).pictures, msgspec.structs.replace
    tasks = [replace(plan.task(0), pictures=(replace(picture, path=path),)) for path in paths]
    assert {record.code for record in renderer.render(tasks)} == {"cannot_write"}
    assert kept.read_text() == "mine"
    assert not list(tmp_path.rglob("*.png"))


def problems(path: Path, text: str | bytes) -> list[str]:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    found = read_shot_list(path)
    return [problem.sentence for problem in found.problems + check_shots(found.shots, [], DEFAULT_OUTPUT)]


CLIP = otio.schema.Clip(
    "a", source_range=otio.opentime.TimeRange(otio.opentime.RationalTime(0, 24), otio.opentime.RationalTime(5, 24))
)


def edit(change=lambda text: text) -> str:
    timeline = otio.schema.Timeline("t")
    timeline.tracks.append(otio.schema.Track(kind=otio.schema.TrackKind.Video, children=[CLIP.clone()]))
    return change(timeline.to_json_string())


XML = '<?xml version="1.0"?>{doctype}<xmeml version="5">{inside}</xmeml>'
LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
ATTACKS = {
    "nested.otio": "[" * 100_000 + "]" * 100_000,
    "nested_in_metadata.otio": edit(
        lambda text: text.replace('"metadata": {}', '"metadata": {"a": ' + "[" * 100_000 + "]" * 100_000 + "}", 1)
    ),
    "brackets_in_a_string.otio": '"\\"' + "[" * 200_000,
    "many_deep.otio": '{"a":' + "[" * 90 + "[]," * 300_000 + "[]" + "]" * 90 + "}",
    "many_clips.otio": edit(lambda text: text + '"OTIO_SCHEMA": "Clip.2",' * 30_000),
    "endless.otio": edit(lambda text: text.replace("5.0", "1e24", 1)),
    "no_number.otio": edit(lambda text: text.replace("5.0", "NaN", 1)),
    "no_end.otio": edit(lambda text: text.replace("5.0", "Infinity", 1)),
    "no_rate.otio": edit(lambda text: text.replace("24.0", "NaN")),
    "fast.otio": edit(lambda text: text.replace("24.0", "1e300")),
    "surrogate.otio": edit(lambda text: text.replace('"a"', '"\\ud800"')),
    "nested.xml": XML.format(doctype="", inside="<clip>" * 100_000 + "</clip>" * 100_000),
    "laughs.xml": XML.format(doctype=f'<!DOCTYPE z [<!ENTITY l0 "ha">{LAUGHS}]>', inside="&l9;"),
    "elsewhere.xml": XML.format(doctype='<!DOCTYPE z [<!ENTITY e SYSTEM "/etc/hostname">]>', inside="&e;"),
    "many.xml": XML.format(doctype="", inside="<clipitem/>" * 100_000),
    "many.edl": "TITLE: x\n" + "001  AX  V  C  00:00:00:00 00:00:00:10 00:00:00:00 00:00:00:10\n" * 30_000,
    "huge.edl": b"\n" * (5 << 20),
    "rate.csv": "name,first,last,fps\na,1,2,1e99999999\n",
    "frames.csv": f"name,first,last\na,1,{10**24}\n",
    "digits.csv": f"name,first,last\na,1,{'9' * 100_000}\n",
    "columns.csv": "name,first,last" + ",x" * 1_000_000 + "\n",
    "cells.csv": "name,first,last\na,1,2" + "," * 1_000_000 + "\n",
    "rows.csv": "name,first,last\n" + "a,x,y\n" * 500_000,
    "shots.csv": "name,first,last\n" + "".join(f"s{n},{n},{n}\n" for n in range(20_000)),
    "field.csv": 'name,first,last\n"' + "x" * 200_000 + '",1,2\n',
    "huge.csv": b"," * (5 << 20),
    "archive.otioz": b"PK\3\4",
}


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.timeout(60)
def test_an_edit_is_refused_before_it_takes_time_or_memory(tmp_path, name):
    said = problems(tmp_path / name, ATTACKS[name])
    assert said
    assert len(said) <= 101
    assert max(map(len, said)) <= 600


def test_shots_that_all_share_frames_take_no_square_of_time():
    shots = [Shot(f"s{number}", 1, 20, output="{frame}.png", line=number) for number in range(10_000)]
    assert len(check_shots(shots, [], DEFAULT_OUTPUT, overlaps=True)) == 9_999


@pytest.mark.parametrize("suffix", ["csv", "otio", "edl", "npz"])
@pytest.mark.timeout(60)
def test_pipes_and_devices_are_not_waited_for(tmp_path, suffix):
    pipe, device = tmp_path / f"pipe.{suffix}", tmp_path / f"device.{suffix}"
    os.mkfifo(pipe)
    device.symlink_to("/dev/zero")
    for path in (pipe, device, tmp_path):
        if suffix == "npz":
            with pytest.raises(TurboPortraitError) as error:
                PoseFile.load(path)
            assert error.value.code == "bad_pose_file"
        else:
            assert read_shot_list(path).problems


@pytest.mark.timeout(60)
def test_a_portrait_that_a_list_names_may_be_no_pipe_either(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    one = Shot("turn", 1, 1, "Cam", width=64, height=48, portrait=str(tmp_path / "pipe.png"))
    assert "no ordinary file" in refused(tmp_path / "out", little_poses([one]))
