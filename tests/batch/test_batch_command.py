"""`turboportrait batch` and `shots` as a user types them: a real .blend, headless Blender, real avatar and refiner."""

import json
import os
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import OpenEXR
import pytest

from backend.batch.images import read_metadata, read_rgba
from backend.batch.shot_lists import read_shot_list
from backend.evaluation.portraits import real_portraits
from backend.protocol.pose_file import PoseFile

pytest.importorskip("bpy", reason="needs Blender's Python module: pip install bpy")
ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


def python(*arguments, folder):
    environment = os.environ | {
        "TURBOPORTRAIT_STATE": str(folder / "state"),
        "BLENDER_USER_RESOURCES": str(folder / "blender"),
        "PYTHONPATH": str(ROOT),
        "OMP_WAIT_POLICY": "PASSIVE",
    }
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment, cwd=folder)


def turboportrait(*arguments, folder):
    return python("-m", "backend.commands", *arguments, folder=folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """scene.blend with a head, empty.blend without, ortho.blend with an orthographic camera."""
    folder = tmp_path_factory.mktemp("scene")
    (folder / "astronaut.png").write_bytes(real_portraits()["astronaut"])
    for name, flags in (("scene", ()), ("empty", ("no-head",)), ("ortho", ("ortho",))):
        made = python(
            ROOT / "tests/batch/make_blend.py",
            folder / f"{name}.blend",
            folder / "astronaut.png",
            *flags,
            folder=folder,
        )
        assert made.returncode == 0, made.stdout + made.stderr
    return folder


def events(run):
    return [json.loads(line) for line in run.stdout.splitlines()]


def test_from_a_list_to_pictures_movies_and_a_page_and_again(folder):
    shots = folder / "list.csv"
    shots.write_text(
        "name,camera,first,last,fps,width,height,output\n"
        "opening,Front,1,3,24,,,\n"
        "close,Side,20,21,24,65,49,{shot}/{camera}.{frame:03d}.exr\n"
    )
    command = ["batch", shots, "--blend", "scene.blend", "--output", "out", "--workers", 0, "--json"]
    first = turboportrait(*command, folder=folder)
    assert first.returncode == 0, first.stdout + first.stderr
    out = folder / "out"
    (done,) = [event for event in events(first) if event["event"] == "done"]
    assert (done["rendered"], done["failed"]) == (5, 0)
    pictures = [read_rgba(out / f"opening/opening.{frame:04d}.png") for frame in (1, 2, 3)]
    assert all(picture.shape == (64, 96, 4) for picture in pictures)
    assert all(0.1 < (picture[..., 3] > 0).mean() < 0.8 for picture in pictures)
    assert np.abs(pictures[0].astype(int) - pictures[2])[..., :3].mean() > 0.3
    with OpenEXR.File(str(out / "close/Side.020.exr")) as file:
        channels = file.channels()
        assert file.header()["digitalSourceType"].endswith("trainedAlgorithmicMedia")
        assert channels["RGBA"].pixels.dtype == np.float16
        assert channels["RGBA"].pixels.shape == (49, 65, 4)
        inside = channels["RGBA"].pixels[..., 3] == 1
        assert 0.8 < np.median(channels["Z"].pixels[inside]) < 1.6
        assert channels["Z"].pixels[~(channels["RGBA"].pixels[..., 3] > 0)].min() > 1e9
        assert (channels["matte.Anna"].pixels == channels["RGBA"].pixels[..., 3]).all()
    said = read_metadata(out / "opening/opening.0002.png")
    assert (said["shot"], said["frame"], said["heads"][0]["name"]) == ("opening", 2, "Anna")
    assert len(said["refiner_sha256"]) == 64
    for name, count, width in (("opening.mp4", 3, 96), ("close.mov", 2, 65), ("close.mp4", 2, 66)):
        with av.open(str(out / name)) as movie:
            stream = movie.streams.video[0]
            assert stream.average_rate == 24
            assert stream.width == width
            assert sum(1 for _ in movie.decode(video=0)) == count
    page = (out / "index.html").read_text()
    assert "opening/opening.0001.png" in page
    times = {
        path: path.stat().st_mtime_ns for path in out.rglob("*") if path.suffix in (".png", ".exr", ".mp4", ".mov")
    }
    second = turboportrait(*command, folder=folder)
    assert second.returncode == 0, second.stdout + second.stderr
    (done,) = [event for event in events(second) if event["event"] == "done"]
    assert (done["rendered"], done["kept"]) == (0, 5)
    assert {path: path.stat().st_mtime_ns for path in times} == times


def test_everything_that_is_wrong_is_said_at_once_with_lines(folder):
    shots = folder / "bad.csv"
    shots.write_text(
        "name,camera,first,last,fps,avatar,portrait\n"
        "a,Front,1,10,25,,\n"
        "b,Nowhere,9,12,25,,\n"
        "a,Side,20,15,25,Bob,\n"
        "c,Side,x,30,25,,missing.png\n"
        "d,Side,22,24,25,,missing.png\n"
    )
    (folder / "file").write_text("")
    run = turboportrait("batch", shots, "--blend", "scene.blend", "--output", "file/out", folder=folder)
    assert run.returncode == 2
    for line, part in [
        (2, "25 frames per second, the .blend 24"),
        (3, "no camera 'Nowhere'"),
        (3, "frames 9 to 10 of 'b' are in 'a' too"),
        (4, "name 'a' is taken"),
        (4, "reversed"),
        (4, "no head 'Bob'"),
        (5, "'first' is 'x'"),
        (6, "portrait"),
    ]:
        assert any(
            said.split(": ")[0].endswith(f"bad.csv:{line}") and part in said for said in run.stderr.splitlines()
        ), (
            part,
            run.stderr,
        )
    assert "cannot be written" in run.stderr
    assert not (folder / "file/out").exists()


def test_a_blend_without_a_head_and_a_camera_without_a_lens(folder):
    run = turboportrait("batch", "--blend", "empty.blend", "--output", "none", folder=folder)
    assert run.returncode == 2
    assert "no head with a portrait" in run.stderr
    run = turboportrait("batch", "--blend", "ortho.blend", "--output", "none", folder=folder)
    assert run.returncode == 2
    assert "orthographic" in run.stderr
    assert "Side shot" in run.stderr
    (folder / "text.blend").write_text("hello")
    run = turboportrait("batch", "--blend", "text.blend", "--output", "none", folder=folder)
    assert run.returncode == 2
    assert "no_blender" in run.stderr
    assert not list((folder / "none").rglob("*.png"))


def test_markers_become_files_that_come_back(folder):
    run = turboportrait("shots", "export", "scene.blend", "--output", "lists", folder=folder)
    assert run.returncode == 0, run.stdout + run.stderr
    for suffix in ("otio", "csv"):
        found = read_shot_list(folder / f"lists/scene.{suffix}")
        assert found.problems == []
        assert [(s.name, s.first, s.last, s.camera) for s in found.shots] == [
            ("Front shot", 1, 12, "Front"),
            ("Side shot", 13, 24, "Side"),
        ]
        assert found.rate == 24
    shown = turboportrait("shots", "show", "lists/scene.otio", folder=folder)
    assert "Side shot, frames 13 to 24, camera Side" in shown.stdout


def test_a_scene_is_chosen_by_its_name(folder):
    run = turboportrait("shots", "export", "scene.blend", "--scene", "Other", "--output", "others", folder=folder)
    assert run.returncode == 0, run.stdout + run.stderr
    found = read_shot_list(folder / "others/scene.csv")
    assert [(shot.name, shot.last, shot.camera, found.rate) for shot in found.shots] == [("Other", 5, "Lone", 30)]
    run = turboportrait("batch", "--blend", "scene.blend", "--scene", "Nowhere", "--output", "none", folder=folder)
    assert run.returncode == 2
    assert "'Nowhere'; there are: Other, Scene" in run.stderr


def test_an_edit_of_the_movies_finds_its_cameras_again(folder):
    """Its clips are named as files, and count by the timecode that these begin with; one is slowed down."""
    (folder / "cut.edl").write_text(
        "TITLE: cut\nFCM: NON-DROP FRAME\n\n"
        "001  AX  V  C  00:00:00:13 00:00:00:15 01:00:00:00 01:00:00:04\n"
        "* FROM CLIP NAME: Side shot.mov\n"
        "M2   AX       012.0                00:00:00:13\n"
    )
    command = ["batch", "cut.edl", "--blend", "scene.blend", "--output", "cut", "--quality", "raw", "--workers", 0]
    run = turboportrait(*command, "--json", folder=folder)
    assert run.returncode == 0, run.stdout + run.stderr
    names = ["Side shot.0013.png", "Side shot.0014.png", "Side shot.0015.png", "Side shot.0016.png"]
    assert sorted(path.name for path in (folder / "cut/Side shot").iterdir()) == names
    (poses,) = (PoseFile.load(path) for path in (folder / "cut/job/poses").iterdir())
    turned = poses.columns["pose"][:, 4]
    assert np.diff(turned) == pytest.approx(np.full(3, turned[1] - turned[0]), rel=0.05)
    assert turned[1] > turned[0]
    with av.open(str(folder / "cut/Side shot.mov")) as movie:
        assert movie.streams.video[0].metadata["timecode"] == "00:00:00:13"
        assert sum(1 for _ in movie.decode(video=0)) == 4


def test_poses_travel_without_the_blend(folder):
    run = turboportrait("shots", "poses", "scene.blend", "--output", "poses.npz", folder=folder)
    assert run.returncode == 0, run.stdout + run.stderr
    command = ["batch", "--poses", "poses.npz", "--output", "far", "--only", "Side shot", "--quality", "raw"]
    run = turboportrait(*command, "--workers", 0, "--movies", "none", folder=folder)
    assert run.returncode == 0, run.stdout + run.stderr
    assert len(list((folder / "far/Side shot").glob("*.png"))) == 12
    planned = turboportrait(*command, "--plan", "--json", folder=folder)
    assert events(planned)[0]["kept"] == 12
