"""Performance files: what is written is read, whatever it is; anything else is refused with the place."""

import json
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from performances import performance

from backend.protocol import limits
from backend.protocol.errors import TurboPortraitError
from backend.protocol.performance import (
    Frame,
    Header,
    Performance,
    decode_frame,
    decode_header,
    encode_frame,
    encode_header,
)

COLUMNS = ("time", "head", "translation", "expression", "gaze", "confidence", "cut")


def same(a: Performance, b: Performance) -> bool:
    return a.header == b.header and all((getattr(a, name) == getattr(b, name)).all() for name in COLUMNS)


def refused(path) -> str:
    with pytest.raises(TurboPortraitError) as error:
        Performance.load(path)
    assert error.value.code == "bad_performance"
    return error.value.sentence


def numbers(most: float):
    return st.floats(-most, most, allow_nan=False).map(lambda x: round(x, 6) + 0.0)


@st.composite
def performances(draw) -> Performance:
    actions = draw(st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=4, unique=True))
    rate = (draw(st.integers(1001, 120_000)), 1001)
    steps = draw(st.lists(st.integers(1, 1000), min_size=1, max_size=6))
    frames = [
        Frame(
            time=round(sum(steps[:k]) / 1000, 6),
            head=draw(st.lists(numbers(limits.MAX_JOINT_ANGLE), min_size=3, max_size=3)),
            translation=draw(st.lists(numbers(limits.MAX_TRANSLATION), min_size=3, max_size=3)),
            expression=[draw(numbers(20)) for _ in actions],
            gaze=draw(st.lists(numbers(1), min_size=6, max_size=6)),
            confidence=round(draw(st.floats(0, 1)), 6),
            cut=draw(st.booleans()),
        )
        for k in range(len(steps))
    ]
    neutral = draw(st.integers(-1, len(frames) - 1))
    notes = tuple(draw(st.lists(st.text(max_size=20), max_size=2)))
    return Performance.of_frames(Header(rate, draw(st.text(max_size=20)), neutral, notes, tuple(actions)), frames)


@settings(max_examples=60, deadline=None)
@given(made=performances())
def test_any_performance_comes_back(tmp_path_factory, made):
    path = tmp_path_factory.mktemp("performance") / "take.jsonl"
    made.save(path)
    assert same(Performance.load(path), made)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_changed_file_is_read_or_refused(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("performance") / "take.jsonl"
    performance(3).save(path)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 5))] = data.draw(st.binary(max_size=5))
    path.write_bytes(content)
    try:
        assert not Performance.load(path).problem()
    except TurboPortraitError as error:
        assert error.code == "bad_performance"  # noqa: PT017


def test_a_file_that_was_cut_off_keeps_its_whole_lines(tmp_path):
    made = performance(5)
    made.save(tmp_path / "take.jsonl")
    content = (tmp_path / "take.jsonl").read_bytes()
    (tmp_path / "take.jsonl").write_bytes(content[:-200])
    read = Performance.load(tmp_path / "take.jsonl")
    assert len(read) == 4
    assert "cut off" in read.header.notes[0]
    assert (read.head == made.head[:4]).all()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"head": [0.0, 0.0, 7.0]}, "frame 1 has a head beyond"),
        ({"translation": [1e6, 0.0, 0.0]}, "frame 1 has a translation beyond"),
        ({"expression": [0.0] * 51}, "frame 1 has 51 actions"),
        ({"gaze": [0.0] * 5}, "line 3"),
        ({"confidence": 2.0}, "line 3"),
        ({"time": 0.0}, "frame 1 is not later"),
        ({"time": "soon"}, "line 3"),
        ({"more": 1}, "line 3"),
    ],
)
def test_a_bad_frame_is_named(tmp_path, change, said):
    performance(3).save(tmp_path / "take.jsonl")
    lines = (tmp_path / "take.jsonl").read_text().splitlines()
    lines[2] = json.dumps(json.loads(lines[2]) | change)
    (tmp_path / "take.jsonl").write_text("\n".join(lines) + "\n")
    assert said in refused(tmp_path / "take.jsonl")


@pytest.mark.parametrize(
    "change",
    [{"version": 2}, {"format": "poses"}, {"fps": [0, 1]}, {"fps": [1, 0]}, {"neutral": 3}, {"actions": []},
     {"actions": ["a", "a"]}, {"notes": [1]}],
)  # fmt: skip
def test_a_bad_header_is_refused(tmp_path, change):
    performance(3).save(tmp_path / "take.jsonl")
    first, *rest = (tmp_path / "take.jsonl").read_text().splitlines()
    first = json.dumps(json.loads(first) | change)
    (tmp_path / "take.jsonl").write_text("\n".join([first, *rest, ""]))
    refused(tmp_path / "take.jsonl")


@pytest.mark.parametrize("content", [b"", b"\n", b"{}\n", b"[" * 100_000 + b"\n", b"\xff\xfe\n", b"null\nnull\n"])
def test_what_is_none_is_refused(tmp_path, content):
    (tmp_path / "take.jsonl").write_bytes(content)
    refused(tmp_path / "take.jsonl")


def test_a_header_alone_and_a_missing_file_are_refused(tmp_path):
    (tmp_path / "take.jsonl").write_bytes(encode_header(Header((30, 1))) + b"\n")
    assert "no frames" in refused(tmp_path / "take.jsonl")
    refused(tmp_path / "none.jsonl")


def test_nothing_is_written_that_could_not_be_read(tmp_path):
    bad = replace(performance(3), head=np.full((3, 3), np.nan))
    with pytest.raises(TurboPortraitError, match="frame 0 has a head"):
        bad.save(tmp_path / "take.jsonl")
    assert not list(tmp_path.iterdir())


def test_a_capture_is_read_line_by_line():
    made = performance(2, neutral=1)
    header = decode_header(encode_header(made.header))
    frame = decode_frame(encode_frame(made.frames()[1]), header)
    assert frame == made.frames()[1]
    wrong = msgspec.structs.replace(frame, head=[9.0, 0.0, 0.0])
    with pytest.raises(ValueError, match="head"):
        decode_frame(encode_frame(wrong), header)
