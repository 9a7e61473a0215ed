"""Takes of other programs: both spellings, timecodes, what is missing or bad, and other apps' files."""

import json
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.protocol.arkit import ACTIONS, LOOK_ANGLES
from backend.protocol.errors import TurboPortraitError
from backend.protocol.takes import read_performance
from flame.rotations import axis_angle_to_matrix

ANGLES = [f"{part}{turn}" for part in ("Head", "LeftEye", "RightEye") for turn in ("Yaw", "Pitch", "Roll")]


def pascal(name: str) -> str:
    return name[0].upper() + name[1:]


def live_link(frames: int = 5, rate: int = 60, count: str = "BlendShapeCount", spell=pascal, start: int = 0):
    """Rows of a take in which jawOpen grows and the head turns to the person's left."""
    rows = [["Timecode", count, *map(spell, ACTIONS), *ANGLES]]
    for k in range(frames):
        second, frame = divmod(start + k, rate)
        values = [0.01 * (k + 1) if name == "jawOpen" else 0.0 for name in ACTIONS]
        code = f"10:20:{30 + second:02}:{frame:02}.000"
        rows.append([code, "61", *values, 0.1 * k, 0.2, 0.3, 0.05, 0.0, 0.0, 0.05, 0.0, 0.0])
    return rows


def write(path, rows):
    path.write_text("\n".join(",".join(map(str, row)) for row in rows) + "\n")
    return path


def refused(path) -> str:
    with pytest.raises(TurboPortraitError) as error:
        read_performance(path)
    assert error.value.code == "bad_take"
    return error.value.sentence


@pytest.mark.parametrize(("count", "spell"), [("BlendShapeCount", pascal), ("BlendshapeCount", str)])
def test_both_spellings_are_read(tmp_path, count, spell):
    take = read_performance(write(tmp_path / "take.csv", live_link(90, count=count, spell=spell)))
    assert len(take) == 90
    assert take.header.fps == (60, 1)
    assert np.allclose(take.action("jawOpen"), 0.01 * np.arange(1, 91))
    assert np.allclose(np.diff(take.time), 1 / 60)
    expected = axis_angle_to_matrix([0, 0.1 * 3, 0]) @ axis_angle_to_matrix([0.2, 0, 0])
    expected = expected @ axis_angle_to_matrix([0, 0, 0.3])
    assert np.allclose(axis_angle_to_matrix(take.head[3]), expected)
    assert np.allclose(take.gaze[0], [[0, 0.05, 0]] * 2)
    assert take.header.notes == ()


def test_columns_may_be_missing_and_stand_anywhere(tmp_path):
    rows = [list(reversed([*row[:1], *row[2:19], *row[25:54]])) for row in live_link()]
    take = read_performance(write(tmp_path / "take.csv", rows))
    assert "actions are not in the file" in take.header.notes[0]
    assert not take.head.any()


def test_eyes_follow_the_actions_where_no_angles_are(tmp_path):
    rows = [row[:54] for row in live_link()]
    rows[1][2 + ACTIONS.index("eyeLookOutLeft")] = 1.0
    take = read_performance(write(tmp_path / "take.csv", rows))
    assert np.isclose(take.gaze[0, 0, 1], LOOK_ANGLES["Out"])
    assert take.action("eyeLookOutLeft").max() == 0


def test_a_timecode_at_a_lower_rate_is_seen(tmp_path):
    take = read_performance(write(tmp_path / "take.csv", live_link(70, rate=30)))
    assert take.header.fps == (30, 1)
    assert np.isclose(take.time[-1], 69 / 30)


def test_a_timecodes_second_lasts_as_long_as_its_frames(tmp_path):
    rate = Fraction(30_000, 1001)
    take = read_performance(write(tmp_path / "take.csv", live_link(70, rate=30)), rate)
    assert np.allclose(take.time, np.arange(70) / float(rate))
    assert Fraction(*take.header.fps) == rate


def test_drop_frame_numbers_are_left_out_once_a_minute(tmp_path):
    rows = live_link(2)
    for row, code in zip(rows[1:], ("00:00:59;29", "00:01:00;02"), strict=True):
        row[0] = code
    take = read_performance(write(tmp_path / "take.csv", rows), Fraction(30))
    assert np.isclose(take.time[1], 1001 / 30000)
    assert "drop-frame" in take.header.notes[-1]


def test_midnight_passes(tmp_path):
    rows = live_link(2)
    rows[1][0], rows[2][0] = "23:59:59:59.0", "00:00:00:00.0"
    assert np.isclose(read_performance(write(tmp_path / "take.csv", rows)).time[1], 1 / 60)


def test_text_in_a_numbers_place_is_named_and_the_rest_kept(tmp_path):
    rows = live_link(6)
    rows[3][2 + ACTIONS.index("jawOpen")] = "wide"
    rows[5] = rows[5][:10]
    take = read_performance(write(tmp_path / "take.csv", rows))
    assert len(take) == 6
    assert "Line 4, column jawopen: 'wide' is no number" in take.header.notes[0]
    assert "Line 6 has 10 of 63 columns" in take.header.notes[1]
    assert list(take.confidence) == [1, 1, 0, 1, 0, 1]
    assert np.allclose(take.action("jawOpen"), 0.01 * np.arange(1, 7))


def test_a_value_that_no_face_can_have_is_named_and_the_rest_kept(tmp_path):
    rows = live_link(5)
    rows[3][2 + ACTIONS.index("jawOpen")] = 99
    take = read_performance(write(tmp_path / "take.csv", rows))
    assert take.header.notes[0] == "Frame 2: its expression goes beyond ±20; it is filled in."
    assert list(take.confidence) == [1, 1, 0, 1, 1]
    assert np.allclose(take.action("jawOpen"), 0.01 * np.arange(1, 6))


def test_rows_without_a_face_are_filled(tmp_path):
    rows = live_link(3)
    rows[2] = [rows[2][0], "0"]
    take = read_performance(write(tmp_path / "take.csv", rows))
    assert list(take.confidence) == [1, 0, 1]
    assert np.isclose(take.action("jawOpen")[1], 0.02)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "another app"),
        ("Frame,Time,AU01\n1,2,3\n", "another app"),
        ("Timecode,BlendShapeCount\n", "another app"),
        ("Timecode,jawOpen\n", "no frames"),
        ("Timecode,jawOpen\nnow,1\n", "Line 2: the timecode 'now'"),
        ("Timecode,jawOpen\n00:00:00:00,wide\n", "Line 2, column jawopen: 'wide'"),
        ("Timecode,jawOpen,JawOpen\n", "twice"),
        ("Timecode,jawOpen\n00:00:00:00,99\n", "beyond"),
    ],
)
def test_other_files_are_refused(tmp_path, text, said):
    (tmp_path / "take.csv").write_text(text)
    assert said in refused(tmp_path / "take.csv")


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_a_changed_take_is_read_or_refused(tmp_path_factory, data):
    path = write(tmp_path_factory.mktemp("take") / "take.csv", live_link(3))
    text = path.read_text()
    at = data.draw(st.integers(0, len(text)))
    changed = text[:at] + data.draw(st.text(max_size=6)) + text[at + data.draw(st.integers(0, 40)) :]
    path.write_bytes(changed.encode("utf-8", "surrogatepass"))
    try:
        assert not read_performance(path).problem()
    except TurboPortraitError as error:
        assert error.code == "bad_take"  # noqa: PT017


def categories(frame: int, key: str = "categoryName"):
    return [{"index": 0, key: "_neutral", "score": 0.0}] + [
        {"index": k, key: name, "score": 0.1 * frame if name == "jawOpen" else 0.0} for k, name in enumerate(ACTIONS)
    ]


def javascript(frame: int):
    turn = np.eye(4)
    turn[:3, :3], turn[:3, 3] = axis_angle_to_matrix([0, 0.1 * frame, 0]), (frame, 0, -30)
    data = turn.T.ravel().tolist()
    return {
        "timestampMs": 40 * frame,
        "faceBlendshapes": [{"categories": categories(frame)}],
        "facialTransformationMatrixes": [{"rows": 4, "columns": 4, "data": data}],
    }


def python(frame: int):
    turn = np.eye(4)
    turn[:3, :3], turn[:3, 3] = axis_angle_to_matrix([0, 0.1 * frame, 0]), (frame, 0, -30)
    return {
        "timestamp_ms": 40 * frame,
        "face_blendshapes": [categories(frame, "category_name")],
        "facial_transformation_matrixes": [turn.tolist()],
    }


@pytest.mark.parametrize("frame", [javascript, python])
def test_the_landmarkers_results_are_read(tmp_path, frame):
    (tmp_path / "take.json").write_text(json.dumps([frame(k) for k in range(4)]))
    take = read_performance(tmp_path / "take.json")
    assert take.header.fps == (25, 1)
    assert np.allclose(take.action("jawOpen"), 0.1 * np.arange(4))
    assert np.allclose(take.head, [[0, 0.1 * k, 0] for k in range(4)])
    assert np.allclose(take.translation, [[0.01 * k, 0, 0] for k in range(4)])


def test_plain_scores_with_a_rate_are_read(tmp_path):
    frames = [{"jawOpen": 0.5, "eyeLookUpLeft": 1.0}, {}, {"jawOpen": 0.7}]
    (tmp_path / "take.json").write_text(json.dumps({"fps": 24, "frames": frames}))
    take = read_performance(tmp_path / "take.json")
    assert take.header.fps == (24, 1)
    assert np.allclose(take.action("jawOpen"), [0.5, 0.6, 0.7])
    assert np.isclose(take.gaze[0, 0, 0], -LOOK_ANGLES["Up"])
    assert list(take.confidence) == [1, 0, 1]


def test_a_bad_frame_of_the_landmarker_is_named(tmp_path):
    frames = [categories(1), categories(2), categories(3)]
    frames[1][5]["score"] = "high"
    (tmp_path / "take.json").write_text(json.dumps(frames))
    take = read_performance(tmp_path / "take.json")
    assert "Frame 1" in take.header.notes[0]
    assert np.allclose(take.action("jawOpen"), [0.1, 0.2, 0.3])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("[]", "no list of frames"),
        ("{}", "no list of frames"),
        ('[{"x": 1}]', "categories"),
        ("[1]", "Frame 0"),
        ('[[{"categoryName": "Hand", "score": 1}]]', "not the landmarker's"),
        ('[[{"categoryName": "jawOpen", "score": 1e99}]]', "beyond"),
    ],
)
def test_other_json_is_refused(tmp_path, text, said):
    (tmp_path / "take.json").write_text(text)
    assert said in refused(tmp_path / "take.json")


def test_other_suffixes_and_bytes_are_refused(tmp_path):
    (tmp_path / "take.bvh").write_text("HIERARCHY")
    assert "takes end in" in refused(tmp_path / "take.bvh")
    (tmp_path / "take.csv").write_bytes(b"\xff\xfe\x00")
    refused(tmp_path / "take.csv")
    refused(tmp_path / "none.csv")
