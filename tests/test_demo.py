"""The demonstration and the benchmark, as a newcomer runs them: real Blender, real backend, real files."""

import itertools
import json
import os
import subprocess
import sys

import av
import numpy as np
import pytest
from PIL import Image

pytest.importorskip("bpy", reason="the demo needs Blender's Python module: pip install bpy")


def turboportrait(*arguments, state):
    environment = os.environ | {"TURBOPORTRAIT_STATE": str(state), "BLENDER_USER_RESOURCES": str(state / "blender")}
    return subprocess.run(
        [sys.executable, "-m", "backend.commands", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=500,
        env=environment,
    )


@pytest.mark.slow
def test_the_demo_makes_all_that_it_promises(tmp_path):
    output = tmp_path / "out"
    run = turboportrait("demo", "--frames", 4, "--size", 128, "--output", output, state=tmp_path)
    assert run.returncode == 0, run.stdout + run.stderr
    frames = sorted((output / "frames").glob("*.png"))
    assert len(frames) == 4
    pictures = [np.asarray(Image.open(path).convert("RGB"), int) for path in frames]
    assert all(picture.shape == (128, 128, 3) for picture in pictures)
    # The head turns: neighbouring frames differ, and no frame is empty.
    assert all(np.abs(a - b).mean() > 1 for a, b in itertools.pairwise(pictures))
    assert all(picture.std() > 20 for picture in pictures)
    with av.open(str(output / "demo.mp4")) as movie:
        assert sum(1 for _ in movie.decode(video=0)) == 4
    assert Image.open(output / "sheet.png").size[0] == 6 * 128
    assert (output / "demo.blend").stat().st_size > 100_000
    report = json.loads((output / "report.json").read_text())
    assert report["frontal_inside_matte_256"]["raw"]["psnr_db"] >= 22
    assert report["frontal_inside_matte_256"]["refined"]["psnr_db"] >= 22
    assert report["registration_seconds"] > 0
    assert set(report["latency_256"]) == {"one_raw_view", "two_refined_views"}


@pytest.mark.slow
def test_the_demo_says_what_is_wrong_with_a_portrait(tmp_path):
    Image.new("RGB", (256, 256), (90, 120, 60)).save(tmp_path / "meadow.png")
    run = turboportrait("demo", "--portrait", tmp_path / "meadow.png", "--output", tmp_path / "out", state=tmp_path)
    assert run.returncode != 0
    assert "No face was found" in run.stderr
    missing = turboportrait("demo", "--portrait", tmp_path / "none.png", "--output", tmp_path / "out", state=tmp_path)
    assert missing.returncode != 0
    assert "There is no file" in missing.stderr


@pytest.mark.slow
def test_the_benchmark_prints_and_writes_its_figures(tmp_path):
    run = turboportrait("bench", "--output", tmp_path / "bench.json", state=tmp_path)
    assert run.returncode == 0, run.stdout + run.stderr
    figures = json.loads((tmp_path / "bench.json").read_text())["milliseconds"]
    assert set(figures) == {"registration", "one_raw_view", "two_refined_views"}
    assert all(0 < row["p50_ms"] <= row["p95_ms"] for row in figures.values())
    assert "two refined views" in run.stdout
