"""Jobs: frames are known by content, a run goes on where the last one ended, however it ended."""

import gc
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import tracemalloc
from pathlib import Path

import msgspec
import numpy as np
import OpenEXR
import pytest
from little_head import photo
from little_shots import SHOTS, little_pipeline, little_poses

from backend.batch import images, rendering
from backend.batch.images import read_metadata, read_rgba
from backend.batch.job import Job
from backend.batch.plan import CHAIN, BatchSettings, make_plan, split_done
from backend.batch.run import Resources, run_job
from backend.protocol.errors import TurboPortraitError
from backend.protocol.job_lock import LockWatch
from backend.protocol.pose_file import PoseFile
from backend.protocol.shots import Shot

SCRIPT = Path(__file__).parent / "little_batch.py"
HERE = Resources(workers=0, batch=3, pipeline=little_pipeline)


def run(
    output, poses, settings=BatchSettings(), photos=None, resources=HERE, movies=(), tell=lambda event: None, **options
):
    digests = {name: digest for name, (digest, _) in (photos or {}).items()}
    plan = make_plan(poses, settings, digests, dict((photos or {}).values()))
    job = Job(output)
    job.prepare()
    return run_job(plan, job, resources, movies, tell=tell, **options), plan, job


def test_all_frames_are_rendered_once_and_then_kept(tmp_path, poses):
    summary, plan, job = run(tmp_path, poses)
    assert (summary.done, summary.kept, summary.failures) == (12, 0, [])
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.png")}
    assert {path.relative_to(tmp_path).as_posix() for path in times} == {plan.path(i) for i in range(12)}
    again, _, _ = run(tmp_path, poses)
    assert (again.done, again.kept) == (0, 12)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.png")} == times
    assert not LockWatch(job.lock.path).running()


def test_batches_and_single_frames_are_the_same_pictures(tmp_path, poses):
    run(tmp_path / "together", poses)
    run(tmp_path / "alone", poses, resources=Resources(0, batch=1, pipeline=little_pipeline))
    for path in (tmp_path / "together").rglob("*.png"):
        other = tmp_path / "alone" / path.relative_to(tmp_path / "together")
        assert np.abs(read_rgba(path).astype(int) - read_rgba(other)).max() <= 1
        assert read_rgba(path)[..., 3].any()


def changed(poses, row, **values):
    columns = {name: column.copy() for name, column in poses.columns.items()}
    for name, value in values.items():
        columns[name][row] = value
    return PoseFile(poses.header, columns, poses.portraits)


def test_only_what_changed_is_rendered_again(tmp_path, poses):
    run(tmp_path, poses)
    moved = changed(poses, 4, pose=np.full(15, 0.2))
    summary, plan, _ = run(tmp_path, moved)
    assert (summary.done, summary.kept) == (1, 11)
    (tmp_path / plan.path(7)).unlink()
    (tmp_path / plan.path(8)).write_bytes(b"half")
    summary, _, _ = run(tmp_path, moved)
    assert summary.done == 2
    summary, _, _ = run(tmp_path, moved, BatchSettings(noise_level=0.2))
    assert summary.done == 12
    bigger = msgspec.structs.replace(poses.header.shots[0], width=80)
    header = msgspec.structs.replace(poses.header, shots=(bigger, poses.header.shots[1]))
    summary, _, _ = run(tmp_path, PoseFile(header, moved.columns, poses.portraits), BatchSettings(noise_level=0.2))
    assert (summary.done, summary.kept) == (6, 6)


@pytest.mark.parametrize("quality", ["raw", "compact"])
def test_what_a_mirrored_camera_sees_has_left_and_right_exchanged(tmp_path, poses, quality):
    _, plan, _ = run(tmp_path / "plain", poses, BatchSettings(quality=quality))
    run(tmp_path / "mirrored", changed(poses, slice(None), mirrored=1), BatchSettings(quality=quality))
    plain, mirrored = (read_rgba(tmp_path / name / plan.path(1)) for name in ("plain", "mirrored"))
    np.testing.assert_array_equal(mirrored, plain[:, ::-1])
    assert (plain != mirrored).any()


@pytest.mark.parametrize("temporal", [False, True])
def test_motion_blur_is_the_mean_of_the_shutters_samples(tmp_path, temporal):
    shots = (Shot("turn", 1, 3, "Cam", width=64, height=48),)
    settings = BatchSettings(quality="compact" if temporal else "raw", temporal=temporal, output="{shot}/{frame}.exr")
    blurred = little_poses(shots, ("Ball", "Other"), samples=3)
    summary, plan, _ = run(tmp_path / "blurred", blurred, settings)
    assert (summary.done, summary.failures) == (3, [])
    assert plan.chain == CHAIN // 3
    sharp = []
    for sample in range(3):
        rows = blurred.columns["sample"] == sample
        columns = {name: column[rows] for name, column in blurred.columns.items()}
        columns |= {"sample": 0 * columns["sample"], "exposure": np.ones(len(columns["sample"]))}
        run(tmp_path / str(sample), PoseFile(blurred.header, columns, blurred.portraits), settings)
        sharp.append(channels(tmp_path / str(sample) / plan.path(0)))
    found = channels(tmp_path / "blurred" / plan.path(0))
    for name in ("RGBA", *(name for name in found if name.startswith("matte"))):
        each = np.stack([picture[name] for picture in sharp])
        assert np.ptp(each, axis=0).max() > 0.2, "it moves"
        np.testing.assert_allclose(found[name], each.mean(0), atol=0.03)
    np.testing.assert_array_equal(found["Z"], sharp[1]["Z"])


def channels(path: Path) -> dict[str, np.ndarray]:
    """A picture's, the colours premultiplied."""
    with OpenEXR.File(str(path)) as file:
        found = {name: np.array(channel.pixels, np.float32) for name, channel in file.channels().items()}
    found["RGBA"][..., :3] *= found["RGBA"][..., 3:]
    return found


def test_another_portrait_is_another_picture(tmp_path, poses):
    run(tmp_path, poses)
    green = photo((20, 200, 20))
    summary, plan, _ = run(tmp_path, poses, photos={"nod": ("f" * 64, green)})
    assert (summary.done, summary.kept) == (6, 6)
    picture = read_rgba(tmp_path / plan.path(6))
    assert picture[20, 20, 1] > picture[20, 20, 0] + 30


def test_a_texture_of_the_file_is_rendered_but_not_on_another_portrait(tmp_path, poses):
    green = np.full((8, 8, 4), (0, 200, 0, 255), np.uint8)
    digest = hashlib.sha256(green).hexdigest()
    heads = tuple(msgspec.structs.replace(head, texture_sha256=digest) for head in poses.header.heads)
    header = msgspec.structs.replace(poses.header, heads=heads)
    painted = PoseFile(header, poses.columns, poses.portraits, {digest: green})
    other = photo((10, 20, 30))
    extra = {"nod": (hashlib.sha256(other).hexdigest(), other)}
    _, plan, _ = run(tmp_path, painted, BatchSettings(quality="raw"), photos=extra)
    for number in (0, len(plan) - 1):
        rgba = read_rgba(tmp_path / plan.path(number))
        assert (rgba[rgba[..., 3] == 255] == (0, 200, 0, 255)).all() == (number == 0)


def test_every_picture_says_what_it_is(tmp_path):
    poses = little_poses((Shot("exr", 1, 2, "Cam", width=32, height=32, output="{shot}/{frame}.exr"), SHOTS[1]))
    _, plan, _ = run(tmp_path, poses)
    for number in (0, 3):
        said = read_metadata(tmp_path / plan.path(number))
        index = plan.shot_of(number)
        assert said["shot"] == plan.shots[index].name
        assert said["frame"] == plan.shots[index].first + number - plan.starts[index]
        assert said["key"] == plan.keys[number]
        assert said["quality"] == "compact"
        assert said["noise_level"] == 0.1
        assert said["heads"][0]["seed"] >= 0
        assert said["software"].startswith("TurboPortrait3D ")
        assert said["synthetic"] is True
        assert b"trainedAlgorithmicMedia" in (tmp_path / plan.path(number)).read_bytes()


def test_a_bad_frame_fails_alone_and_is_named(tmp_path, poses):
    events = []
    bad = changed(poses, 2, pose=np.full(15, np.nan))
    summary, _, _ = run(tmp_path, bad, tell=events.append)
    assert summary.done == 11
    (failure,) = summary.failures
    assert (failure.shot, failure.frame, failure.code) == ("turn", 3, "bad_parameters")
    assert [event for event in events if event["event"] == "frame" and event.get("code")]
    page = (tmp_path / "index.html").read_text()
    assert "bad_parameters" in page
    again, _, _ = run(tmp_path, poses)
    assert (again.done, again.kept) == (1, 11)


def test_a_frame_that_cannot_be_refined_fails_alone(tmp_path, poses, monkeypatch):
    from little_head import Brighten

    def refine(self, views, reference, noise_level=0.1, seed=0):
        if views[0].rgba[..., :3].max() == sorted_peaks[-1]:
            raise RuntimeError("this frame is odd")
        return [view.rgba[..., :3] for view in views]

    peaks = []
    monkeypatch.setattr(
        Brighten,
        "refine",
        lambda s, v, r, n=0.1, seed=0: [peaks.append(v[0].rgba[..., :3].max()) or v[0].rgba[..., :3]],
    )
    run(tmp_path / "look", poses)
    sorted_peaks = sorted(set(peaks))
    monkeypatch.setattr(Brighten, "refine", refine)
    summary, _, _ = run(tmp_path / "out", poses)
    odd = peaks.count(sorted_peaks[-1])
    assert len(summary.failures) == odd
    assert summary.done == 12 - odd


@pytest.mark.parametrize("temporal", [False, True])
def test_a_frame_without_finite_numbers_does_not_pass_for_refined(tmp_path, poses, monkeypatch, temporal):
    from little_head import Brighten

    from backend.refiner.runtime.refining import Unrefined

    sound, refused = Brighten.refine_batch, []

    def refine_batch(self, samples, reference, noise_level=0.1, seed=0, warn=None):
        warn("memory ran out: refined in two parts")
        # The first batch of three, and then each of its frames by itself.
        if len(refused) < 4:
            refused.append(True)
            warn(Unrefined("1 of 1 views could not be refined"))
        return sound(self, samples, reference, noise_level, seed, warn)

    monkeypatch.setattr(Brighten, "refine_batch", refine_batch)
    summary, _, _ = run(tmp_path, poses, settings=BatchSettings("compact", 0.1, temporal=temporal))
    assert [failure.code for failure in summary.failures] == ["not_refined"] * 3
    assert summary.done == 9


def test_a_full_disk_fails_frames_and_leaves_no_half_files(tmp_path, poses, monkeypatch):
    real, calls = images._write_png, []

    def write(path, picture, metadata):
        calls.append(path)
        real(path, picture, metadata)
        if len(calls) % 2:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(images, "_write_png", write)
    summary, _, _ = run(tmp_path, poses)
    assert summary.done == 6
    assert {failure.code for failure in summary.failures} == {"disk_full"}
    assert len(list(tmp_path.rglob("*.png"))) == 6
    assert not list(tmp_path.rglob("*.part*"))
    monkeypatch.setattr(images, "_write_png", real)
    assert run(tmp_path, poses)[0].done == 6


def test_a_reader_never_sees_half_a_picture(tmp_path, poses, monkeypatch):
    """While frames are written over and over, whatever has a picture's name can be read whole."""
    _, plan, _ = run(tmp_path, poses)
    paths, seen, ended = [tmp_path / plan.path(i) for i in range(12)], [], threading.Event()

    def read():
        while not ended.is_set():
            seen.extend(read_rgba(path).shape for path in paths)

    reader = threading.Thread(target=read)
    reader.start()
    for level in (0.2, 0.3, 0.4):
        run(tmp_path, poses, BatchSettings(noise_level=level))
    ended.set()
    reader.join()
    assert len(seen) >= 12
    assert set(seen) == {(48, 64, 4), (40, 40, 4)}


def test_folders_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(TurboPortraitError) as error:
        Job(tmp_path / "file").prepare()
    assert error.value.code == "cannot_write"


def test_stopping_gives_up_what_is_left_and_the_next_run_goes_on(tmp_path, poses):
    calls = []

    def stop():
        calls.append(1)
        return len(calls) > 3

    summary, _, job = run(tmp_path, poses, stop=stop)
    assert summary.stopped
    assert 0 < summary.done < 12
    assert not LockWatch(job.lock.path).running()
    again, _, _ = run(tmp_path, poses)
    assert (again.kept, again.done) == (summary.done, 12 - summary.done)


class Batch:
    """A batch process whose worker waits at a gate."""

    def __init__(self, output: Path, workers: int = 0, frame: int = 5, *flags: str) -> None:
        self.gate = output.with_suffix(".gate")
        environment = os.environ | {"LITTLE_GATE": str(self.gate), "LITTLE_GATE_FRAME": str(frame)}
        command = [sys.executable, str(SCRIPT), str(output), str(workers), "gated", *flags]
        self.process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)

    def wait_at_gate(self) -> None:
        while not Path(f"{self.gate}.reached").exists():
            assert self.process.poll() is None
            threading.Event().wait(0.01)


@pytest.fixture
def batch(tmp_path):
    started = []

    def start(*arguments):
        started.append(Batch(tmp_path / "out", *arguments))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.wait()


@pytest.mark.slow
def test_a_killed_driver_loses_nothing_and_repeats_only_what_was_in_flight(tmp_path, poses, batch):
    one = batch()
    one.wait_at_gate()
    one.process.send_signal(signal.SIGKILL)
    said = [json.loads(line) for line in one.process.communicate()[0].splitlines()]
    finished = {event["path"] for event in said if event["event"] == "frame"}
    assert len(finished) == 4
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.png")}
    # One of ours, one that only looks like one, and a picture of another shot whose name does.
    (tmp_path / "out" / "job" / "parts" / f".{'0' * 32}.part").write_bytes(b"half")
    others = [tmp_path / "out" / "turn" / name for name in (".turn.0005.abc.part.png", f".{'0' * 32}.part")]
    for path in others:
        path.write_bytes(b"mine")
    events = []
    summary, _, _ = run(tmp_path / "out", poses, tell=events.append)
    assert summary.kept == len(finished)
    assert summary.done == 12 - len(finished)
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())
    notes = " ".join(event["sentence"] for event in events if event["event"] == "note")
    assert "stale" in notes
    assert "half written" in notes
    assert not list((tmp_path / "out" / "job" / "parts").iterdir())
    assert [path.read_bytes() for path in others] == [b"mine", b"mine"]


@pytest.mark.slow
def test_a_second_driver_is_refused_while_the_first_lives(tmp_path, poses, batch):
    one = batch()
    one.wait_at_gate()
    with pytest.raises(TurboPortraitError) as error:
        run(tmp_path / "out", poses)
    assert error.value.code == "job_locked"
    assert str(one.process.pid) in error.value.sentence
    one.gate.touch()
    one.process.communicate()
    assert one.process.returncode == 0
    assert run(tmp_path / "out", poses)[0].kept == 12


def test_records_that_a_crash_cut_short_are_left_out(tmp_path, poses):
    _, plan, job = run(tmp_path, poses)
    (newest,) = (job.folder / "records").glob("*.jsonl")
    newest.write_bytes(newest.read_bytes()[:-10])
    kept, missing = split_done(plan, job.records(), tmp_path)
    assert len(kept) == 11
    assert len(missing) == 1


def test_thumbnails_are_small_and_few(tmp_path, poses):
    _, plan, job = run(tmp_path, little_poses((Shot("long", 1, 40, "Cam", width=300, height=200),)))
    small = list((job.folder / "thumbnails").glob("*.jpg"))
    assert len(small) == 8
    assert rendering.thumbnail_path(job.folder, plan.keys[0]) in small


@pytest.mark.slow
def test_a_long_run_holds_no_more_than_a_short_one(tmp_path):
    poses = little_poses((Shot("long", 1, 500, "Cam", width=8, height=8),))
    held, count = [], 0

    def tell(event):
        nonlocal count
        count += event["event"] == "frame"
        if event["event"] == "frame" and count % 100 == 0:
            gc.collect()
            held.append(tracemalloc.get_traced_memory()[0])

    tracemalloc.start()
    try:
        summary, _, _ = run(tmp_path, poses, BatchSettings("raw"), tell=tell)
    finally:
        tracemalloc.stop()
    assert summary.done == 500
    assert len(held) == 5
    # Hundreds of frames later: less than 200 bytes a frame more.
    assert held[-1] - held[1] < 300 * 200
