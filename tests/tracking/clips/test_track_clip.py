"""A video becomes a performance: what moves is found without lag, gaps and cuts are marked, bad videos are told."""

from fractions import Fraction

import numpy as np
import pytest
from movies import RATE, leaning, turn_by_metadata, write_movie

from backend.protocol.errors import TurboPortraitError
from backend.tracking.clips import Costs, Settings, track_clip

FRAMES = 24


@pytest.fixture(scope="module")
def faces(astronaut, hopper):
    return [astronaut, hopper]


@pytest.fixture(scope="module")
def angles():
    return 12 * np.sin(np.linspace(0, 2 * np.pi, FRAMES))


@pytest.fixture(scope="module")
def pictures(faces, angles):
    return leaning(faces[0], angles)


@pytest.fixture(scope="module")
def tracked(pictures, open_head, tmp_path_factory):
    costs = Costs()
    path = write_movie(tmp_path_factory.mktemp("clip") / "lean.mp4", pictures)
    said = []
    made = track_clip(path, open_head, progress=lambda fraction, stage: said.append(fraction), costs=costs)
    return made, costs, said


def roll(performance) -> np.ndarray:
    """Degrees that the head leans clockwise as seen, from its first frame on."""
    return -np.degrees(performance.head[:, 2] - performance.head[0, 2])


def test_a_lean_is_found_in_each_frame(tracked, angles):
    made, _, _ = tracked
    assert len(made) == FRAMES
    assert made.header.fps == (RATE, 1)
    assert made.header.neutral == 0
    assert np.abs(roll(made) - angles).max() < 2
    # Shifted by a frame either way it fits less.
    errors = [np.abs(np.roll(roll(made), shift)[2:-2] - angles[2:-2]).mean() for shift in (-1, 0, 1)]
    assert int(np.argmin(errors)) == 1
    assert made.confidence.min() > 0.5
    assert not made.cut.any()
    assert not made.problem()


def test_progress_grows_and_costs_are_told(tracked):
    _, costs, said = tracked
    assert said == sorted(said)
    assert said[-1] == 1
    assert costs.pictures == FRAMES
    assert costs.network_calls == FRAMES
    assert 0 < costs.network < costs.whole


def test_blank_pictures_are_filled_between_their_neighbours(pictures, angles, open_head, tmp_path):
    shown = list(pictures)
    grey = np.full_like(shown[0], int(shown[0].mean()))
    for number in (10, 11):
        shown[number] = grey
    made = track_clip(write_movie(tmp_path / "blank.mp4", shown), open_head)
    assert list(np.flatnonzero(made.confidence == 0)) == [10, 11]
    assert "frames 10 to 11" in " ".join(made.header.notes)
    assert np.isfinite(made.head).all()


def test_a_cut_begins_a_shot(faces, open_head, tmp_path):
    shown = leaning(faces[0], [0] * 6) + leaning(faces[1], [8] * 6)
    made = track_clip(write_movie(tmp_path / "cut.mp4", shown), open_head)
    assert list(np.flatnonzero(made.cut)) == [6]
    assert "cuts" in " ".join(made.header.notes)
    # Nothing is smoothed across it.
    assert abs(roll(made)[5]) < 2
    assert abs(roll(made)[7] - roll(made)[11]) < 1


def test_the_face_that_is_asked_for_is_followed(faces, angles, open_head, tmp_path):
    left, right = leaning(faces[0], angles[:8] * 0), leaning(faces[1], angles[:8])
    path = write_movie(tmp_path / "two.mp4", [np.hstack(pair) for pair in zip(left, right, strict=True)])
    first = track_clip(path, open_head, Settings(face=1))
    second = track_clip(path, open_head, Settings(face=2))
    assert np.abs(roll(first)).max() < 1.5
    assert np.abs(roll(second) - angles[:8]).max() < 2.5
    with pytest.raises(TurboPortraitError) as error:
        track_clip(path, open_head, Settings(face=3))
    assert error.value.code == "no_such_face"


def test_a_varying_rate_is_conformed(faces, open_head, tmp_path):
    times = np.cumsum(np.where(np.arange(FRAMES) % 3 == 0, 0.08, 0.02))
    times -= times[0]

    def lean(time):
        return 12 * np.sin(2 * np.pi * time / times[-1])

    made = track_clip(write_movie(tmp_path / "varying.mp4", leaning(faces[0], lean(times)), times), open_head)
    assert any("varies" in note for note in made.header.notes)
    assert np.allclose(np.diff(made.time), 1 / made.header.rate, atol=1e-6)
    assert np.abs(roll(made) - lean(made.time)).max() < 2.5


def test_another_rate_may_be_asked_for(pictures, open_head, tmp_path):
    made = track_clip(write_movie(tmp_path / "a.mp4", pictures[:8]), open_head, Settings(rate=Fraction(50)))
    assert made.header.fps == (50, 1)
    assert len(made) == 15


def test_a_phones_turned_video_is_upright(pictures, angles, open_head, tmp_path):
    lying = [np.rot90(picture) for picture in pictures[:8]]
    path = turn_by_metadata(write_movie(tmp_path / "phone.mp4", lying))
    made = track_clip(path, open_head)
    assert np.abs(roll(made) - angles[:8]).max() < 2
    assert "turned" in " ".join(made.header.notes)
    # And where nothing tells it, the face does.
    plain = track_clip(write_movie(tmp_path / "plain.mp4", lying), open_head)
    assert np.abs(roll(plain) - angles[:8]).max() < 2


def test_what_is_left_of_a_truncated_video_is_kept(pictures, open_head, tmp_path):
    path = write_movie(tmp_path / "whole.ts", pictures)
    content = path.read_bytes()
    (tmp_path / "cut.ts").write_bytes(content[: len(content) // 2])
    made = track_clip(tmp_path / "cut.ts", open_head)
    assert 2 < len(made) < FRAMES


def test_another_neutral_frame_may_be_asked_for(pictures, open_head, tmp_path):
    made = track_clip(write_movie(tmp_path / "a.mp4", pictures[:8]), open_head, Settings(neutral=0.2))
    assert made.header.neutral == 5


@pytest.mark.parametrize("content", [b"", b"not a video", b"\0\0\0\x18ftypmp42" + bytes(40)])
def test_what_is_no_video_is_told(content, open_head, tmp_path):
    (tmp_path / "bad.mp4").write_bytes(content)
    with pytest.raises(TurboPortraitError) as error:
        track_clip(tmp_path / "bad.mp4", open_head)
    assert error.value.code == "bad_video"
    assert "bad.mp4" in error.value.sentence


def test_addresses_are_not_opened(open_head):
    with pytest.raises(TurboPortraitError, match="no such file"):
        track_clip("http://127.0.0.1:9/video.mp4", open_head)


def test_a_video_without_a_face_is_told(open_head, tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (128, 128, 3), np.uint8)
    with pytest.raises(TurboPortraitError) as error:
        track_clip(write_movie(tmp_path / "none.mp4", [noise] * 5), open_head)
    assert error.value.code == "no_face_in_video"
