"""`turboportrait track` and `perform`, as a user types them."""

import json
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import skimage.data
from PIL import Image
from typer.testing import CliRunner

from backend.commands.app import app
from backend.commands.sound import Sound
from backend.protocol.performance import Performance

sys.path.insert(0, str(Path(__file__).parents[1] / "tracking" / "clips"))
from movies import RATE, leaning, write_movie


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    pictures = leaning(skimage.data.astronaut(), np.linspace(0, 9, 10))
    return write_movie(tmp_path_factory.mktemp("video") / "lean.mp4", pictures, sound=True)


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def seconds(stream) -> float:
    return float(stream.duration * stream.time_base)


@pytest.mark.slow
def test_a_portrait_does_what_a_video_does_with_its_sound(video, tmp_path, monkeypatch):
    """By a backend of the command's own, with the bust."""
    monkeypatch.setenv("TURBOPORTRAIT_STATE", str(tmp_path / "state"))
    Image.fromarray(skimage.data.astronaut()).save(tmp_path / "me.png")
    output = tmp_path / "out.mp4"
    result = run(
        "perform",
        video,
        "--portrait",
        tmp_path / "me.png",
        "--output",
        output,
        "--raw",
        "--size",
        96,
        "--camera",
        "still",
    )
    assert result.exit_code == 0, result.output
    with av.open(str(output)) as movie:
        assert [stream.type for stream in movie.streams] == ["video", "audio"]
        assert movie.streams.video[0].frames == 10
        assert movie.streams.video[0].average_rate == RATE
        assert seconds(movie.streams.audio[0]) == pytest.approx(10 / RATE, abs=0.15)
        frames = [frame.to_ndarray(format="rgb24").astype(float) for frame in movie.decode(video=0)]
    assert frames[0].shape == (96, 96, 3)
    # It leans further and further.
    assert np.abs(frames[9] - frames[0]).mean() > np.abs(frames[2] - frames[0]).mean() > 0


@pytest.mark.parametrize("sound", [True, False])
def test_a_movie_has_sound_where_its_video_has(video, sound, tmp_path):
    pictures = leaning(skimage.data.astronaut(), np.zeros(10), 64)
    source = video if sound else write_movie(tmp_path / "silent.mp4", pictures)
    with av.open(str(tmp_path / "out.mp4"), "w") as movie:
        stream = movie.add_stream("h264", rate=RATE)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        carried = Sound(source, movie, len(pictures) / RATE)
        for number, picture in enumerate(pictures):
            movie.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            carried.carry((number + 1) / RATE)
        carried.finish()
        movie.mux(stream.encode())
    with av.open(str(tmp_path / "out.mp4")) as movie:
        assert [stream.type for stream in movie.streams] == (["video", "audio"] if sound else ["video"])
        assert len(list(movie.decode(video=0))) == len(pictures)
        if sound:
            assert seconds(movie.streams.audio[0]) == pytest.approx(len(pictures) / RATE, abs=0.15)


def test_a_video_becomes_a_file_and_says_how_far_it_is(video, tmp_path):
    result = run("track", video, "--output", tmp_path / "take.jsonl", "--json")
    assert result.exit_code == 0, result.output
    said = [json.loads(line) for line in result.stdout.splitlines()]
    shares = [line["progress"] for line in said[:-1]]
    assert shares == sorted(shares)
    assert said[-1]["frames"] == 10
    assert len(Performance.load(tmp_path / "take.jsonl")) == 10


def test_a_take_becomes_a_file(tmp_path):
    rows = [f"00:00:{k // 30:02}:{k % 30:02},{'wide' if k == 7 else 0.01 * k}" for k in range(40)]
    (tmp_path / "take.csv").write_text("\n".join(["Timecode,JawOpen", *rows]) + "\n")
    result = run("track", tmp_path / "take.csv", "--fps", "29.97")
    assert result.exit_code == 0, result.output
    made = Performance.load(tmp_path / "take.jsonl")
    assert made.header.fps == (30_000, 1001)
    assert len(made) == 40
    assert "Line 9, column jawopen: 'wide' is no number" in made.header.notes[0]


def test_what_is_wrong_is_said_in_json(tmp_path):
    (tmp_path / "bad.mp4").write_bytes(b"nothing")
    result = run("track", tmp_path / "bad.mp4", "--json")
    assert result.exit_code == 2
    assert json.loads(result.stdout.splitlines()[-1])["code"] == "bad_video"
