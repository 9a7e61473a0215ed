"""A face before a camera, as it goes: a video that plays in real time, what is newest, what cannot be opened."""

import json
import subprocess
import time

import numpy as np
import pytest
from movies import RATE, leaning, write_movie

from backend.client.isolation import isolated, python_module
from backend.protocol.errors import TurboPortraitError
from backend.protocol.performance import Performance
from backend.tracking.clips.cameras import CameraFrames, NewestPictures, list_cameras
from backend.tracking.clips.frames import VideoFrames
from backend.tracking.clips.live import LiveTracker
from backend.tracking.clips.smoothing import OneEuro

FRAMES = 30


@pytest.fixture(scope="module")
def angles():
    return 12 * np.sin(np.linspace(0, 2 * np.pi, FRAMES))


@pytest.fixture(scope="module")
def pictures(astronaut, angles):
    return leaning(astronaut, angles)


@pytest.fixture(scope="module")
def movie(pictures, tmp_path_factory):
    return write_movie(tmp_path_factory.mktemp("live") / "face.mp4", pictures)


def roll(frames) -> np.ndarray:
    """Degrees that the head leans clockwise as seen, from its first frame on."""
    turns = np.array([frame.head[2] for frame in frames])
    return -np.degrees(turns - turns[0])


def test_each_picture_tells_the_head_at_once(pictures, angles, open_head):
    tracker = LiveTracker(open_head)
    frames = [tracker.track(picture, number / RATE) for number, picture in enumerate(pictures)]
    assert np.abs(roll(frames) - angles).max() < 3
    errors = [np.abs(np.roll(roll(frames), -shift)[2:-2] - angles[2:-2]).mean() for shift in (0, 1, 2)]
    assert int(np.argmin(errors)) <= 1, "it comes a frame late at most"
    assert min(frame.confidence for frame in frames) > 0.5


@pytest.mark.parametrize("step", [4, 5, 7, 9])
def test_pictures_that_come_seldom_tell_it_too(pictures, angles, open_head, step):
    """As a machine that is busy drops most of them, the face is somewhere else each time."""
    tracker = LiveTracker(open_head, smoothing=0)
    numbers = np.arange(0, 4 * FRAMES, step)
    frames = [tracker.track(pictures[number % FRAMES], number / RATE) for number in numbers]
    assert np.abs(roll(frames) - angles[numbers % FRAMES]).max() < 3
    turns = np.degrees([frame.head for frame in frames])
    assert np.ptp(turns[:, :2], axis=0).max() < 8, "it leans, and neither turns nor nods"
    assert min(frame.confidence for frame in frames) > 0.5


def test_a_face_that_is_not_seen_keeps_what_it_did(pictures, open_head):
    tracker = LiveTracker(open_head, smoothing=0)
    blank = np.full_like(pictures[0], 128)
    assert tracker.track(blank, 0.0) is None
    for number in range(1, 8):
        seen = tracker.track(pictures[number], number / RATE)
    held = tracker.track(blank, 8 / RATE)
    assert held.confidence == 0
    assert held.head == seen.head
    assert held.expression == seen.expression
    assert tracker.track(pictures[9], 9 / RATE).confidence > 0.5


def test_only_the_newest_picture_is_taken(movie):
    began = time.time()
    with NewestPictures(VideoFrames(movie)) as newest:
        taken = []
        for at, picture in newest:
            taken.append(at)
            # The rest of the video passes meanwhile.
            newest._thread.join()
            assert picture.shape == (320, 320, 3)
        assert len(taken) == 2
        assert newest.dropped == FRAMES - 2
    assert began <= taken[0] < taken[1]
    # As long as it takes to play, for it plays in real time.
    assert taken[1] - taken[0] >= (FRAMES - 1) / RATE - 0.01


def test_what_is_no_camera_is_not_opened(tmp_path):
    known = {camera.address for camera in list_cameras()}
    for address in ("/dev/zero", "/etc/passwd", "lavfi", "testsrc", "http://127.0.0.1:9/", str(tmp_path), "-list 1"):
        assert address not in known
        with pytest.raises(TurboPortraitError) as error:
            CameraFrames(address)
        assert error.value.code == "no_camera"


def test_a_camera_that_cannot_be_opened_is_told(monkeypatch):
    from backend.tracking.clips import cameras

    gone = cameras.CameraDevice("/dev/video-that-is-gone", "Gone")
    monkeypatch.setattr(cameras, "list_cameras", lambda: [gone])
    with pytest.raises(TurboPortraitError, match="Gone") as error:
        CameraFrames("")
    assert error.value.code == "no_camera"


def test_the_command_writes_a_performance_as_it_goes(movie, tmp_path):
    command = [*python_module("backend.commands"), "capture", str(movie), "--seconds", "0.2", "--output"]
    said = subprocess.run(**isolated([*command, str(tmp_path / "take.jsonl")]), capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    made = Performance.load(tmp_path / "take.jsonl")
    assert made.header.neutral == 0
    assert made.header.source == "face.mp4"
    assert 0 < time.time() - made.header.started < 600
    assert made.time[0] == 0


def test_the_command_says_what_is_wrong_as_json(tmp_path):
    command = [*python_module("backend.commands"), "capture", "--json", "--", "/dev/zero"]
    said = subprocess.run(**isolated(command), capture_output=True, text=True)
    assert said.returncode == 2
    assert json.loads(said.stdout)["code"] == "no_camera"


def test_one_euro_holds_noise_and_follows_motion():
    rng = np.random.default_rng(0)
    filtered = OneEuro(np.array([1.5]), np.array([6.0]))
    still = np.array([filtered.next(k / 30, rng.normal(0, 0.01, 1))[0] for k in range(300)])
    assert still[30:].std() < 0.005
    moving = np.array([filtered.next(10 + k / 30, np.array([2.0 * k / 30]))[0] for k in range(60)])
    # At two units a second it is less than a frame late.
    assert 2.0 * 59 / 30 - moving[-1] < 2.0 / 30
