"""Shot lists from every kind of file, and everything that can be wrong with them, each with its line."""

import os
import sys
from fractions import Fraction

import opentimelineio as otio
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from backend.batch.checks import check_scene, check_shots
from backend.batch.patterns import SUFFIXES, frame_path, name_problem, path_problem, pattern_problem
from backend.batch.rates import exact_rate, rate_text
from backend.batch.shot_csv import write_csv
from backend.batch.shot_lists import read_shot_list
from backend.batch.shot_timelines import write_otio
from backend.protocol.shots import DEFAULT_OUTPUT, Shot

SHOTS = [
    Shot("opening", 1, 24, "Cam A", width=64, height=32, quality="raw"),
    Shot("close", 25, 30, "Cam B", avatar="Anna", output="{shot}/{frame}.exr"),
    Shot("slow", 31, 40, "Cam B", speed=0.5),
    Shot("still", 41, 42, "Cam B", speed=0.0),
]


def bare(shots):
    return [Shot(**{f: getattr(s, f) for f in s.__struct_fields__ if f != "line"}) for s in shots]


@pytest.mark.parametrize("kind", ["csv", "otio"])
@pytest.mark.parametrize("rate", [Fraction(24), Fraction(30000, 1001)])
def test_what_is_written_is_read_again(tmp_path, kind, rate):
    path = tmp_path / f"list.{kind}"
    write_csv(SHOTS, rate, path) if kind == "csv" else write_otio(SHOTS, rate, path, "edit")
    found = read_shot_list(path)
    assert found.problems == []
    assert bare(found.shots) == SHOTS
    assert found.rate == rate
    lines = path.read_text().splitlines()
    for shot in found.shots:
        # The line is the shot's own: its name stands there, or within its clip.
        assert shot.name in "\n".join(lines[shot.line - 1 : shot.line + 35])


@pytest.mark.parametrize("suffix", ["edl", "xml"])
def test_edits_of_other_programs(tmp_path, suffix):
    path = tmp_path / f"edit.{suffix}"
    write_otio(SHOTS[:2], Fraction(25), tmp_path / "edit.otio", "edit")
    edit = otio.adapters.read_from_file(str(tmp_path / "edit.otio"))
    for clip in edit.find_clips():
        clip.media_reference = otio.schema.ExternalReference(f"file:///{clip.name}", clip.source_range)
    options = {"rate": 25} if suffix == "edl" else {}
    otio.adapters.write_to_file(edit, str(path), **options)
    found = read_shot_list(path, Fraction(25))
    assert found.problems == []
    # Such files know no cameras of Blender: the clip's name is the camera's.
    assert [(s.name, s.first, s.last, s.camera) for s in found.shots] == [
        ("opening", 1, 24, "opening"),
        ("close", 25, 30, "close"),
    ]
    assert found.rate == 25
    assert [shot.name in path.read_text().splitlines()[shot.line - 1] or suffix == "xml" for shot in found.shots]


def sentences(path, text, encoding="utf-8"):
    path.write_bytes(text.encode(encoding))
    return [(problem.line, problem.sentence) for problem in read_shot_list(path).problems]


def test_a_csv_names_each_bad_line_and_keeps_the_good_ones(tmp_path):
    path = tmp_path / "list.csv"
    text = "name,first,last,fps\n# a note\na,1,10,24\nb,x,20,24\n\nc,21,,24\nd,31,40,25\ne,41,50,24,9\n"
    problems = sentences(path, text)
    assert [line for line, _ in problems] == [4, 6, 7, 8]
    assert "'first' is 'x'" in problems[0][1]
    assert "'last' is empty" in problems[1][1]
    assert "25 frames per second, line 3 has 24" in problems[2][1]
    assert "more cells" in problems[3][1]
    assert [shot.name for shot in read_shot_list(path).shots] == ["a"]


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        ("name,first\na,1\n", 1, "the column 'last' is missing"),
        ("name,name,first,last\n", 1, "there twice"),
        ("", 0, "has no shots"),
        ("name,first,last\n", 0, "has no shots"),
        ('name,first,last\n"a,1,2', 0, None),
    ],
)
def test_a_csv_without_its_columns(tmp_path, text, line, part):
    found = sentences(tmp_path / "list.csv", text)
    assert found
    if part:
        assert found[0][0] == line
        assert part in found[0][1]


@pytest.mark.parametrize("suffix", ["csv", "otio", "edl", "xml"])
def test_text_that_is_not_utf8_is_named_with_its_line(tmp_path, suffix):
    path = tmp_path / f"list.{suffix}"
    problems = sentences(path, "name,first,last\na,1,2\nstraße,3,4\n", "latin-1")
    assert problems[0][0] == 3
    assert "UTF-8" in problems[0][1]


def test_semicolons_and_a_byte_order_mark_are_fine(tmp_path):
    path = tmp_path / "list.csv"
    assert sentences(path, "Name;First;Last\nstraße;1;2\n", "utf-8-sig") == []
    assert read_shot_list(path).shots == [Shot("straße", 1, 2, line=2)]


@pytest.mark.parametrize("suffix", ["otio", "xml", "edl", "txt"])
def test_files_that_are_something_else(tmp_path, suffix):
    path = tmp_path / f"list.{suffix}"
    assert sentences(path, '{"a": [1, 2\n')
    assert read_shot_list(tmp_path / "none.csv").problems[0].sentence.startswith("cannot be read")


def test_a_spreadsheets_tabs_columns_and_timecodes(tmp_path):
    path = tmp_path / "list.csv"
    rows = ["Name\tFirst\tLast\tfps\tNotes\t", "a\t00:00:01:00\t00:00:01:23\t24\tlater, maybe\t", "b\t48\t50\t\t\t\t"]
    assert sentences(path, "\n".join(rows)) == []
    found = read_shot_list(path)
    assert [(shot.name, shot.first, shot.last) for shot in found.shots] == [("a", 24, 47), ("b", 48, 50)]
    assert "not read: notes;" in found.notes[0].sentence
    text = "name,first,last\na,00:00:01:00,00:00:02:00\n"
    assert "give its frame rate" in sentences(path, text)[0][1]
    assert read_shot_list(path, Fraction(30000, 1001)).shots == [Shot("a", 30, 60, line=2)]
    assert "no timecode" in sentences(path, "name,first,last,fps\na,00:00:01:30,90,24\n")[0][1]
    assert "not a number" in sentences(path, "name,first,last,speed\na,1,2,fast\n")[0][1]


def test_without_opentimelineio_there_is_csv(tmp_path, monkeypatch):
    """Python 3.14 has no wheels of it yet."""
    monkeypatch.setitem(sys.modules, "opentimelineio", None)
    monkeypatch.delitem(sys.modules, "backend.batch.shot_timelines")
    (tmp_path / "list.csv").write_text("name,first,last,fps\na,1,2,24\nb,00:00:01:00,30,24\n")
    (tmp_path / "list.edl").write_text("TITLE: edit")
    found = read_shot_list(tmp_path / "list.csv")
    assert [shot.name for shot in found.shots] == ["a"]
    assert "give the frame's number" in str(found.problems[0])
    assert "make it a CSV file" in str(read_shot_list(tmp_path / "list.edl").problems[0])


def test_clips_that_disagree_about_the_rate(tmp_path):
    edit = otio.schema.Timeline("edit")
    track = otio.schema.Track(kind=otio.schema.TrackKind.Video)
    edit.tracks.append(track)
    for name, rate, start in (("a", 24, 0), ("b", 25, 30), ("c", 24, 40.5)):
        span = otio.opentime.TimeRange(otio.opentime.RationalTime(start, rate), otio.opentime.RationalTime(10, rate))
        track.append(otio.schema.Clip(name, source_range=span))
    otio.adapters.write_to_file(edit, str(tmp_path / "edit.otio"))
    problems = read_shot_list(tmp_path / "edit.otio").problems
    assert "25 frames per second" in problems[0].sentence
    assert "whole frame" in problems[1].sentence
    assert 0 < problems[0].line < problems[1].line


def test_a_list_is_checked_as_a_whole():
    shots = [
        Shot("a", 1, 10, line=2),
        Shot("A", 11, 20, line=3),
        Shot("b", 30, 25, line=4),
        Shot("c", 5, 12, line=5),
        Shot("d/e", 40, 50, width=9000, line=6),
        Shot("f", 60, 61, quality="turbo", output="{frame}.jpg", line=7),
        Shot("g", 60_000_000, 60_000_001, line=8),
    ]
    problems = check_shots(shots, {"compact"}, DEFAULT_OUTPUT)
    by_line = {}
    for problem in problems:
        by_line.setdefault(problem.line, []).append(problem.sentence)
    assert any("taken (line 2)" in s for s in by_line[3])
    assert any("reversed: first 30, last 25" in s for s in by_line[4])
    assert any("5 to 10 of 'c' are in 'a' too (line 2)" in s for s in by_line[5])
    assert any("can't name a folder" in s for s in by_line[6])
    assert any("9000 pixels" in s for s in by_line[6])
    assert any("'turbo' is not ready" in s for s in by_line[7])
    assert any(".png or .exr" in s for s in by_line[7])
    assert any("beyond" in s for s in by_line[8])
    assert 2 not in by_line


def test_overlaps_can_be_allowed_but_not_one_file_for_two():
    shots = [Shot("a", 1, 10), Shot("b", 5, 12)]
    assert check_shots(shots, set(), DEFAULT_OUTPUT, overlaps=True) == []
    assert "overwrite" in check_shots(shots, set(), "{frame}.png", overlaps=True)[0].sentence


def test_a_long_shot_over_several_is_found_each_time():
    shots = [Shot("long", 1, 100), Shot("a", 10, 20), Shot("b", 30, 40)]
    assert len(check_shots(shots, set(), DEFAULT_OUTPUT)) == 2


def test_a_list_and_a_blend_that_disagree():
    shots = [Shot("a", 1, 2, "Cam", line=2), Shot("b", 3, 4, "Other", avatar="Bob", line=3)]
    rate = (Fraction(25), 2)
    problems = check_scene(shots, rate, Fraction(24), ["Cam"], ["Anna"])
    assert [(p.line, p.sentence.split(":")[0].split(";")[0]) for p in problems] == [
        (2, "the list has 25 frames per second, the .blend 24"),
        (3, "the .blend has no camera 'Other'"),
        (3, "the .blend has no head 'Bob'"),
    ]
    assert "no head with a portrait" in check_scene([], (None, 0), Fraction(24), [], [])[0].sentence


PARTS = st.sampled_from(["{camera}", "{shot}", "{frame}", "{frame:03d}", "..", ".", "/", "\\", "~", "C:", "job", " "])


@given(st.lists(PARTS | st.text(max_size=5)).map("".join), st.text() | PARTS, st.text() | PARTS)
@example("{camera}/", "shot", "..")
@example("{camera}{camera}/", "shot", ".")
@example("{shot}/", "../..", "camera")
@example("{shot}/", "job", "camera")
def test_no_pattern_and_no_name_leaves_the_output_folder(start, name, camera):
    pattern = start + "{frame}.png"
    if not pattern_problem(pattern):
        path = frame_path(pattern, Shot(name, 1, 1, camera), 1)
        if not path_problem(path, SUFFIXES):
            inside = os.path.normpath(os.path.join("/output", path))
            assert inside == "/output/" + path
            assert path.split("/")[0].lower() not in ("job", "index.html")


@pytest.mark.parametrize(
    "pattern",
    [
        *(
            "/x/{frame}.png",
            "../{frame}.png",
            "{frame}",
            "x.png",
            "{f.__class__}.png",
            "job/{frame}.png",
            "x{/{frame}.png",
        ),
        *("a//{frame}.png", "JOB/{frame}.png", "jo\u200bb/{frame}.png", "index.html/{frame}.png", "nul/{frame}.png"),
        *(
            "{shot}./{frame}.png",
            "C:{frame}.png",
            "a\\{frame}.png",
            "{frame}/.png",
            "{frame}" * 80 + ".png",
            "x.part/{frame}.png",
        ),
    ],
)
def test_patterns_that_are_refused(pattern):
    assert pattern_problem(pattern)


def test_frames_in_paths():
    shot = Shot("s", -5, 5, "Cam: 1")
    assert frame_path("{shot}/{camera}.{frame:04d}.png", shot, 7) == "s/Cam_ 1.0007.png"
    assert frame_path("{frame:04d}.exr", shot, -5) == "-0005.exr"
    assert frame_path("{frame}.exr", shot, 12345) == "12345.exr"


@pytest.mark.parametrize(
    "name",
    [
        *("", " ", "a/b", "..", "a:b", "job", "JOB", "index.html", "dot.", "con", "LPT1.shot", "a\nb", "\ud800"),
        *("x" * 201, "ショ" * 34, "a.part"),
    ],
)
def test_names_that_are_refused(name):
    assert name_problem(name)


@pytest.mark.parametrize(
    ("value", "rate"),
    [
        ("23.976", Fraction(24000, 1001)),
        (29.97, Fraction(30000, 1001)),
        ("25", 25),
        (24.0, 24),
        ("24000/1001", Fraction(24000, 1001)),
        ("12.5", Fraction(25, 2)),
    ],
)
def test_rates(value, rate):
    assert exact_rate(value) == rate
    assert exact_rate(rate_text(exact_rate(value))) == exact_rate(value)


@pytest.mark.parametrize(
    "value", ["0", "-24", "5000", "abc", "1/0", "1e99999999", "9" * 10_000_000, float("nan"), float("inf"), "²4", ""]
)
def test_rates_that_are_none(value):
    with pytest.raises(ValueError, match=r".*"):
        exact_rate(value)
