"""The contact sheet in a real browser, from the disk; and the movies beside it."""

import shutil
import subprocess
from pathlib import Path

import av
import numpy as np
import pytest
from little_shots import little_pipeline, little_poses
from PIL import Image

from backend.batch.job import Job
from backend.batch.plan import BatchSettings, make_plan
from backend.batch.run import Resources, run_job
from backend.protocol.shots import Shot

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def rendered(output: Path, shots, movies=(), fps=(24, 1), break_frame=None):
    poses = little_poses(shots, fps=fps)
    if break_frame is not None:
        poses.columns["pose"][break_frame] = np.nan
    job = Job(output)
    job.prepare()
    plan = make_plan(poses, BatchSettings(), {}, {})
    return run_job(plan, job, Resources(0, pipeline=little_pipeline), movies), plan


@pytest.mark.parametrize("fps", [(24, 1), (25, 1), (30000, 1001)])
def test_movies_have_the_right_rate_and_pictures(tmp_path, fps):
    shots = (Shot("odd", 5, 9, "Cam", width=63, height=49),)
    summary, plan = rendered(tmp_path, shots, ("h264", "prores"), fps)
    assert len(summary.movies) == 2
    for name, size in (("odd.mp4", (64, 50)), ("odd.mov", (63, 49))):
        with av.open(str(tmp_path / name)) as movie:
            stream = movie.streams.video[0]
            assert (stream.average_rate.numerator, stream.average_rate.denominator) == fps
            assert stream.codec_context.name == ("h264" if name.endswith("mp4") else "prores")
            frames = list(movie.decode(video=0))
            assert np.allclose([frame.time for frame in frames], np.arange(5) * fps[1] / fps[0], atol=1e-4)
            assert (frames[0].width, frames[0].height) == size
            assert "trainedAlgorithmicMedia" in movie.metadata["comment"]
    picture = np.asarray(Image.open(tmp_path / plan.path(0)))
    with av.open(str(tmp_path / "odd.mov")) as movie:
        alpha = next(movie.decode(video=0)).to_ndarray(format="rgba")[..., 3]
    assert np.abs(alpha.astype(int) - picture[..., 3]).mean() < 2
    with av.open(str(tmp_path / "odd.mp4")) as movie:
        shown = next(movie.decode(video=0)).to_ndarray(format="rgb24")
    solid = picture[..., 3] == 255
    assert np.abs(shown[:49, :63][solid].astype(int) - picture[solid][:, :3]).mean() < 8
    # Behind the head is the background of the poses, linear (0.1, 0.2, 0.3).
    assert np.abs(shown[2, 2].astype(int) - (89, 124, 149)).max() < 6


def test_a_shot_with_a_failure_gets_no_movie(tmp_path):
    shots = (Shot("bad", 1, 4, "Cam", width=32, height=32), Shot("good", 6, 8, "Cam", width=32, height=32))
    summary, _ = rendered(tmp_path, shots, ("h264",), break_frame=2)
    assert [record.path for record in summary.movies] == ["good.mp4"]
    assert not (tmp_path / "bad.mp4").exists()


@pytest.mark.slow
def test_the_page_opens_from_the_disk(tmp_path):
    if BROWSER is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    nasty = '"><script>document.title="broken"</script>'
    nasty_shots = (
        Shot("turn & nod #1", 1, 12, nasty, width=64, height=64),
        Shot("exr 100%", 20, 23, "Cam", width=96, height=48, output="{shot}/{frame}.exr"),
    )
    summary, _ = rendered(tmp_path / "dailies 7%", nasty_shots, ("h264",), break_frame=13)
    assert len(summary.failures) == 1
    page = tmp_path / "dailies 7%" / "index.html"
    flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    probe = page.with_name("probe.html")
    # What the browser made of the page, measured by itself once everything has loaded.
    script = """<script>addEventListener("load", () => {
      const video = document.querySelector("video");
      document.body.dataset.images = [...document.images].map((i) => i.naturalWidth).join(" ");
      document.body.dataset.video = video.videoWidth;
      document.body.dataset.overflow = document.documentElement.scrollWidth > innerWidth;
    });</script>"""
    probe.write_text(page.read_text().replace('loading="lazy"', "") + script)
    dump = [BROWSER, *flags, "--dump-dom", probe.as_uri()]
    text = subprocess.run(dump, capture_output=True, text=True, timeout=120, check=True).stdout
    body = text[text.index("<body") :].split(">", 1)[0]
    assert 'data-images="' in body, body
    widths = [int(number) for number in body.split('data-images="')[1].split('"')[0].split()]
    assert len(widths) == 8 + 3
    assert min(widths) > 0
    assert 'data-video="64"' in body
    assert 'data-overflow="false"' in body
    assert "turn &amp; nod #1" in text
    assert "<title>dailies 7%: contact sheet</title>" in text
    assert "bad_parameters" in text
    shot = [BROWSER, *flags, "--hide-scrollbars", "--window-size=1200,900", f"--screenshot={tmp_path / 'page.png'}"]
    subprocess.run([*shot, page.as_uri()], capture_output=True, timeout=120, check=True)
    assert np.asarray(Image.open(tmp_path / "page.png").convert("L")).std() > 10
