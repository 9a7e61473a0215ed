"""Stereoscopy and multi-view in batches: a picture and a movie per view, those of a frame refined together."""

import json

import av
import msgspec
import numpy as np
import pytest
from little_head import Brighten, little_catalog
from little_shots import STEREO, little_poses

from backend.batch.checks import check_views
from backend.batch.images import read_metadata, read_rgba
from backend.batch.job import Job
from backend.batch.plan import CHAIN, BatchSettings, make_plan
from backend.batch.run import Resources, run_job
from backend.pipeline import Pipeline
from backend.protocol.errors import TurboPortraitError
from backend.protocol.limits import MAX_VIEWS
from backend.protocol.pose_file import PoseFile, SceneView
from backend.protocol.shots import DEFAULT_OUTPUT, RAW, Shot

SHOTS = (Shot("turn", 1, 3, "Cam", width=64, height=48), Shot("nod", 10, 11, "Cam", width=40, height=40))
FILES = [f"turn/turn.{frame:04d}{eye}.png" for frame in (1, 2, 3) for eye in ("_L", "_R")]
FILES += [f"nod/nod.{frame:04d}{eye}.png" for frame in (10, 11) for eye in ("_L", "_R")]


@pytest.fixture
def stereo():
    """Two shots of a little head, three frames and two, by two eyes."""
    return little_poses(SHOTS, views=STEREO)


def run(output, poses, settings=BatchSettings(), movies=(), refiner=None):
    plan = make_plan(poses, settings, {}, {})
    job = Job(output)
    job.prepare()
    resources = Resources(0, batch=2, pipeline=lambda: Pipeline(little_catalog(refiner), device="cpu"))
    return run_job(plan, job, resources, movies), plan


@pytest.mark.parametrize("temporal", [False, True])
def test_each_view_is_a_file_and_those_of_a_frame_are_refined_together(tmp_path, stereo, temporal):
    refiner = Brighten()
    summary, plan = run(tmp_path, stereo, BatchSettings(temporal=temporal), refiner=refiner)
    assert (summary.done, summary.failures) == (10, [])
    assert [plan.path(number) for number in range(len(plan))] == FILES
    assert refiner.calls == [2] * 5
    assert plan.chain == CHAIN // 2
    for left, right in zip(FILES[::2], FILES[1::2], strict=True):
        assert [read_metadata(tmp_path / name)["view"] for name in (left, right)] == ["left", "right"]
        assert np.ptp([read_rgba(tmp_path / name) for name in (left, right)], axis=0).max() > 100


def test_a_view_is_what_its_camera_alone_sees(tmp_path, stereo):
    run(tmp_path / "stereo", stereo, BatchSettings(quality=RAW))
    for view, suffix in enumerate(("_L", "_R")):
        columns = dict(stereo.columns)
        for name in ("K", "world_to_camera", "scale", "mirrored"):
            columns[name] = columns[name][:, view : view + 1]
        header = msgspec.structs.replace(stereo.header, views=(SceneView(),))
        run(tmp_path / suffix, PoseFile(header, columns, stereo.portraits), BatchSettings(quality=RAW))
        for name in FILES[view::2]:
            alone = read_rgba(tmp_path / suffix / name.replace(suffix, ""))
            np.testing.assert_array_equal(read_rgba(tmp_path / "stereo" / name), alone)


def test_a_file_that_is_gone_is_made_again_as_it_was(tmp_path, stereo):
    run(tmp_path, stereo)
    before = {name: ((tmp_path / name).read_bytes(), (tmp_path / name).stat().st_mtime_ns) for name in FILES}
    (tmp_path / FILES[3]).unlink()
    refiner = Brighten()
    summary, _ = run(tmp_path, stereo, refiner=refiner)
    assert (summary.done, summary.kept, refiner.calls) == (1, 9, [2])
    for name, (data, time) in before.items():
        assert (tmp_path / name).read_bytes() == data
        assert ((tmp_path / name).stat().st_mtime_ns == time) == (name != FILES[3])
    stereo.columns["world_to_camera"][0, 1, 3] += 0.01
    assert run(tmp_path, stereo)[0].done == 2, "what one eye sees is in the other's picture"


def test_each_view_has_a_movie(tmp_path, stereo):
    summary, _ = run(tmp_path, stereo, movies=("h264",))
    assert sorted(record.path for record in summary.movies) == ["nod_L.mp4", "nod_R.mp4", "turn_L.mp4", "turn_R.mp4"]
    shown = {}
    for eye in "LR":
        with av.open(str(tmp_path / f"turn_{eye}.mp4")) as movie:
            shown[eye] = [frame.to_ndarray(format="gray").astype(int) for frame in movie.decode(video=0)]
    assert [len(frames) for frames in shown.values()] == [3, 3]
    assert np.abs(shown["L"][0] - shown["R"][0]).max() > 20
    page = (tmp_path / "index.html").read_text()
    assert all(f'href="{name}"' in page for name in FILES)
    assert all(f'src="{record.path}"' in page for record in summary.movies)


def test_a_frame_that_fails_fails_in_each_view(tmp_path, stereo):
    stereo.columns["K"][2, 1] = np.nan
    summary, _ = run(tmp_path, stereo, movies=("h264",))
    assert [(record.path, record.code) for record in summary.failures] == [(name, "bad_camera") for name in FILES[4:6]]
    assert sorted(record.path for record in summary.movies) == ["nod_L.mp4", "nod_R.mp4"]


def arrays_of(path, poses):
    poses.save(path)
    with np.load(path) as saved:
        return {name: saved[name] for name in saved.files}


def test_views_come_back_and_their_number_is_checked(tmp_path, stereo):
    stereo.save(tmp_path / "poses.npz")
    again = PoseFile.load(tmp_path / "poses.npz")
    assert again.header.views == STEREO
    assert again.camera(1, 1) == stereo.camera(1, 1) != again.camera(1, 0)
    for views in ((), STEREO[:1], STEREO * (MAX_VIEWS // 2 + 1)):
        header = msgspec.structs.replace(stereo.header, views=views)
        PoseFile(header, stereo.columns, stereo.portraits).save(tmp_path / "bad.npz")
        with pytest.raises(TurboPortraitError, match=r"views|column K"):
            PoseFile.load(tmp_path / "bad.npz")


@pytest.mark.parametrize("damage", [None, "missing", "flat"])
def test_what_version_4_wrote_is_read(tmp_path, poses, damage):
    arrays = arrays_of(tmp_path / "new.npz", poses)
    header = json.loads(arrays["header"].tobytes()) | {"version": 4}
    del header["views"]
    arrays["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    for name in ("K", "world_to_camera", "scale", "mirrored"):
        arrays[name] = arrays[name][:, 0]
    if damage == "missing":
        del arrays["scale"]
    if damage == "flat":
        arrays["scale"] = np.float64(1)
    np.savez(tmp_path / "old.npz", **arrays)
    if damage:
        with pytest.raises(TurboPortraitError) as error:
            PoseFile.load(tmp_path / "old.npz")
        assert error.value.code == "bad_pose_file"
        return
    again = PoseFile.load(tmp_path / "old.npz")
    assert again.header == poses.header
    assert all((again.columns[name] == column).all() for name, column in poses.columns.items())
    assert make_plan(again, BatchSettings(), {}, {}).keys == make_plan(poses, BatchSettings(), {}, {}).keys


@pytest.mark.parametrize(
    ("suffixes", "said"),
    [
        (("_L", "_R"), ""),
        (("",), ""),
        (("_left",), ""),
        (("", "_R"), "none ends another"),
        (("_L", "_L"), "none ends another"),
        (("_l", "_L"), "none ends another"),
        (("L", "_L"), "none ends another"),
        (("/../../x", "_R"), "can't name"),
        (("/x", "_R"), "can't name"),
        (("_?", "_R"), "can't name"),
        (("_" * 200, "_R"), "longer than 200 bytes"),
    ],
)
def test_suffixes_that_name_files(suffixes, said):
    views = [SceneView(f"view{number}", suffix) for number, suffix in enumerate(suffixes)]
    problems = [problem.sentence for problem in check_views(SHOTS, views, DEFAULT_OUTPUT)]
    assert bool(problems) == bool(said)
    assert all(said in problem for problem in problems)
