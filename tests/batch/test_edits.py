"""Edits as programs write them: retimes, sequences, disabled and nested clips, and what is left out with a note."""

from fractions import Fraction

import opentimelineio as otio
import pytest

from backend.batch.checks import check_shots
from backend.batch.movies import start_timecode
from backend.batch.shot_list import ShotList
from backend.batch.shot_lists import read_shot_list
from backend.protocol.shots import DEFAULT_OUTPUT, Shot

EDL = """TITLE: cut
FCM: NON-DROP FRAME

001  AX  V  C  00:00:00:00 00:00:00:20 01:00:00:00 01:00:00:10
* FROM CLIP NAME: fast
M2   AX       048.0                00:00:00:00
002  AX  V  C  00:00:01:00 00:00:01:10 01:00:00:10 01:00:00:20
* FROM CLIP NAME: plain.mov
003  AX  V  C  00:00:02:00 00:00:02:01 01:00:00:20 01:00:01:06
* FROM CLIP NAME: frozen
M2   AX       000.0                00:00:02:00
004  BL  V  C  00:00:00:00 00:00:00:10 01:00:01:06 01:00:01:16
005  AX  V  C  00:00:07:00 00:00:08:00 01:00:01:16 01:00:02:16
* FROM CLIP NAME: back
M2   AX       -024.0                00:00:08:00
"""


def span(start, duration, rate=24):
    return otio.opentime.TimeRange(otio.opentime.RationalTime(start, rate), otio.opentime.RationalTime(duration, rate))


def clip(name, start, duration, *effects, **options):
    return otio.schema.Clip(name, source_range=span(start, duration), effects=list(effects), **options)


def read(tmp_path, *items, other_tracks=()) -> ShotList:
    timeline = otio.schema.Timeline("cut")
    timeline.tracks.append(otio.schema.Track(kind=otio.schema.TrackKind.Video, children=list(items)))
    timeline.tracks.extend(other_tracks)
    return written(tmp_path, timeline)


def written(tmp_path, edit) -> ShotList:
    otio.adapters.write_to_file(edit, str(tmp_path / "cut.otio"))
    return read_shot_list(tmp_path / "cut.otio")


def said(entries):
    return [entry.sentence for entry in entries]


def frames(found: ShotList):
    return [(shot.name, shot.first, shot.last, shot.speed) for shot in found.shots]


def test_an_edls_speeds_freezes_and_black(tmp_path):
    (tmp_path / "cut.edl").write_text(EDL)
    found = read_shot_list(tmp_path / "cut.edl", Fraction(24))
    assert frames(found) == [("fast", 0, 9, 2.0), ("plain", 24, 33, 1.0), ("frozen", 48, 57, 0.0)]
    assert [shot.camera for shot in found.shots] == ["fast", "plain", "frozen"]
    assert [shot.line for shot in found.shots] == [4, 7, 9]
    assert [(problem.line, problem.sentence) for problem in found.problems] == [
        (13, "the clip 'back' cannot be rendered as it is cut: it plays backwards")
    ]
    assert any("made by the editor" in sentence for sentence in said(found.notes))


def test_pictures_of_a_retime_show_the_scene_at_its_times():
    assert [Shot("a", 10, 13, speed=0.5).time(frame) for frame in (10, 11, 12, 13)] == [10, 10.5, 11, 11.5]
    assert [Shot("a", -3, -1, speed=0.0).time(frame) for frame in (-3, -2, -1)] == [-3, -3, -3]
    assert Shot("a", 1, 3).time(3) == 3
    # What a retime shows again is meant to be seen again.
    assert check_shots([Shot("a", 1, 10), Shot("b", 10, 30, speed=0)], [], DEFAULT_OUTPUT) == []
    for speed in (-1.0, 1e9, float("nan")):
        assert check_shots([Shot("a", 1, 10, speed=speed)], [], DEFAULT_OUTPUT)
    assert check_shots([Shot("a", 1, 100_000, speed=100)], [], DEFAULT_OUTPUT)


def test_retimes_of_otio(tmp_path):
    found = read(
        tmp_path,
        clip("slow", 10, 8, otio.schema.LinearTimeWarp(time_scalar=0.25)),
        clip("freeze", 30, 5, otio.schema.FreezeFrame()),
        clip("twice", 40, 5, otio.schema.LinearTimeWarp(time_scalar=2), otio.schema.LinearTimeWarp(time_scalar=2)),
        clip("curve", 50, 5, otio.schema.TimeEffect("speed ramp")),
        clip("back", 60, 5, otio.schema.LinearTimeWarp(time_scalar=-1)),
        clip("blurred", 70, 5, otio.schema.Effect("blur")),
    )
    assert frames(found) == [
        ("slow", 10, 17, 0.25),
        ("freeze", 30, 34, 0),
        ("twice", 40, 44, 4),
        ("blurred", 70, 74, 1),
    ]
    assert ["speed ramp" in said(found.problems)[0], "backwards" in said(found.problems)[1]] == [True, True]
    assert all(problem.line > 0 for problem in found.problems)


ITEM = """<clipitem id="{id}"><name>{name}</name>{enabled}<rate><timebase>25</timebase><ntsc>FALSE</ntsc></rate>
<start>{start}</start><end>{end}</end><in>{into}</in><out>{out}</out>
<file id="f{id}"><name>{name}</name></file>{filters}</clipitem>
"""
REMAP = """<filter><effect><name>Time Remap</name><effectid>timeremap</effectid>
<parameter><parameterid>variablespeed</parameterid><value>{variable}</value></parameter>
<parameter><parameterid>speed</parameterid><value>{speed}</value></parameter>
<parameter><parameterid>reverse</parameterid><value>{reverse}</value></parameter></effect></filter>"""
RATE = "<rate><timebase>25</timebase><ntsc>FALSE</ntsc></rate>"
SEQUENCE = f"<sequence><name>{{name}}</name>{RATE}<media><video><track>{{items}}</track></video></media></sequence>"


def fcp(tmp_path, *sequences) -> ShotList:
    body = "".join(SEQUENCE.format(name=f"s{n}", items="".join(items)) for n, items in enumerate(sequences))
    (tmp_path / "cut.xml").write_text(f'<?xml version="1.0"?><xmeml version="5">{body}</xmeml>')
    return read_shot_list(tmp_path / "cut.xml")


def item(name, start, into, length=10, enabled="", filters=""):
    return ITEM.format(
        id=f"{name}{start}", name=name, start=start, end=start + length, into=into, out=into + length,
        enabled=enabled, filters=filters,
    )  # fmt: skip


def test_fcp_xml_remaps_and_disables(tmp_path):
    half, ramp, back = (
        REMAP.format(variable=variable, speed=50, reverse=reverse)
        for variable, reverse in ((0, "FALSE"), (1, "FALSE"), (0, "TRUE"))
    )
    found = fcp(
        tmp_path,
        [
            item("half.mov", 0, 20, filters=half),
            item("ramp", 10, 0, filters=ramp),
            item("back", 20, 0, filters=back),
            item("off", 30, 0, enabled="<enabled>FALSE</enabled>"),
        ],
    )
    # The in point counts pictures of the slowed media: the 20th of these shows frame 10.
    assert frames(found) == [("half", 10, 19, 0.5)]
    assert ["variablespeed" in said(found.problems)[0], "backwards" in said(found.problems)[1]] == [True, True]
    assert any("'off' is disabled" in sentence for sentence in said(found.notes))


def test_all_sequences_of_a_file_and_clips_used_again(tmp_path):
    found = fcp(tmp_path, [item("a", 0, 0), item("b", 10, 20), item("a", 20, 40)], [item("A", 0, 60)])
    assert found.problems == []
    assert [(shot.name, shot.camera, shot.first) for shot in found.shots] == [
        ("a", "a", 0),
        ("b", "b", 20),
        ("a_2", "a", 40),
        ("A_3", "A", 60),
    ]
    assert any("2 sequences" in sentence for sentence in said(found.notes))


def test_what_is_disabled_or_no_picture_is_left_out_with_a_note(tmp_path):
    off = otio.schema.Track("V2", kind=otio.schema.TrackKind.Video, children=[clip("hidden", 0, 5)])
    off.enabled = False
    sound = otio.schema.Track("A1", kind=otio.schema.TrackKind.Audio, children=[clip("music", 0, 5)])
    title = clip("title", 0, 24)
    title.media_reference = otio.schema.GeneratorReference("Text", "text")
    disabled = clip("disabled", 0, 5)
    disabled.enabled = False
    found = read(
        tmp_path,
        clip("a", 0, 24),
        otio.schema.Transition(
            "cross",
            otio.schema.TransitionTypes.SMPTE_Dissolve,
            otio.opentime.RationalTime(6, 24),
            otio.opentime.RationalTime(6, 24),
        ),
        clip("b", 30, 24),
        otio.schema.Gap(source_range=span(0, 10)),
        title,
        disabled,
        other_tracks=[off, sound],
    )
    assert found.problems == []
    assert [shot.name for shot in found.shots] == ["a", "b"]
    notes = " / ".join(said(found.notes))
    for part in ("'cross' of 12 frames", "1 gaps", "'title' is made by the editor", "'disabled' is", "'hidden' is"):
        assert part in notes
    assert "music" not in notes


def test_the_trims_of_what_a_clip_is_nested_in_count(tmp_path):
    inner = otio.schema.Track(kind=otio.schema.TrackKind.Video, children=[clip("a", 100, 20), clip("b", 200, 20)])
    nested = otio.schema.Stack("nested", children=[inner], source_range=span(15, 10))
    found = read(tmp_path, clip("first", 0, 10), nested)
    assert frames(found) == [("first", 0, 9, 1), ("a", 115, 119, 1), ("b", 200, 204, 1)]
    nested.source_range = span(25, 10)
    nested.effects.append(otio.schema.LinearTimeWarp(time_scalar=2))
    found = read(tmp_path, clip("first", 0, 10), nested)
    assert [shot.name for shot in found.shots] == ["first"]
    assert "'a' is trimmed away" in said(found.notes)[0]
    assert "nested in is retimed" in said(found.problems)[0]


@pytest.mark.parametrize(
    ("metadata", "part"),
    [
        ({"turboportrait": [1, 2]}, "no dictionary"),
        ({"turboportrait": "Cam"}, "no dictionary"),
        ({"turboportrait": {"camera": 5}}, "not a text"),
        ({"turboportrait": {"camera": {"name": "Cam"}}}, "not a text"),
        ({"turboportrait": {"width": "64"}}, "not a whole number"),
        ({"turboportrait": {"width": 64.5}}, "not a whole number"),
        ({"turboportrait": {"width": True}}, "not a whole number"),
    ],
)
def test_metadata_of_a_wrong_type_is_named(tmp_path, metadata, part):
    found = read(tmp_path, clip("a", 0, 5, metadata=metadata))
    assert [part in sentence and "'a'" in sentence for sentence in said(found.problems)] == [True]
    assert found.problems[0].line > 0


@pytest.mark.parametrize(
    ("frame", "rate", "timecode"),
    [
        (0, Fraction(24), "00:00:00:00"),
        (25, Fraction(24), "00:00:01:01"),
        (86400 * 24 - 1, Fraction(24), "23:59:59:23"),
        (30 * 3600, Fraction(30000, 1001), "01:00:00:00"),
        (-1, Fraction(24), ""),
        (86400 * 24, Fraction(24), ""),
        (10, Fraction(25, 2), ""),
    ],
)
def test_the_timecode_of_a_frame(frame, rate, timecode):
    assert start_timecode(frame, rate) == timecode
    if timecode:
        assert otio.opentime.from_timecode(timecode, float(rate)).to_frames() == frame
