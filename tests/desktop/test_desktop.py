"""In Blender's own window, from the installed zip: the three steps, scrubbing, the hand, undo, the card, takes."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image

from backend.protocol.performance import Performance

sys.path.insert(0, str(Path(__file__).parents[1] / "tracking" / "clips"))
from movies import RATE, leaning, write_movie

pytestmark = pytest.mark.slow
SAMPLE = Path(__file__).parents[2] / "docs" / "performance" / "sample.jsonl"
LEAN = 15.0


def picture(path, border=None) -> np.ndarray:
    """A screenshot (H, W, 3), or its part within a border as 256x256."""
    image = Image.open(path).convert("RGB")
    if border:
        image = image.crop(tuple(map(round, border))).resize((256, 256), Image.Resampling.LANCZOS)
    return np.asarray(image, np.float32)


def over_world(path, world) -> np.ndarray:
    """The camera's image as 256x256 over the viewport's background."""
    image = Image.open(path).convert("RGBA").resize((256, 256), Image.Resampling.LANCZOS)
    rgba = np.asarray(image, np.float32)
    alpha = rgba[..., 3:] / 255
    return rgba[..., :3] * alpha + world * (1 - alpha)


def psnr(a, b, where=...) -> float:
    """Decibels; infinite for equal pictures."""
    error = (((a - b)[where] / 255) ** 2).mean()
    return float(-10 * np.log10(error)) if error else np.inf


def test_a_newcomer_comes_from_nothing_to_a_shot(play, backend, portrait, tmp_path):
    result = play("newcomer", portrait=str(portrait))
    border = result["border"]
    first, middle = (picture(tmp_path / f"frame_{number}.png", border) for number in ("001", "125"))
    names = ("again", "changed", "undone")
    again, changed, undone = (picture(tmp_path / f"frame_001_{name}.png", border) for name in names)

    # The Rendered viewport shows what the camera's image shows, though it was asked for and drawn by another way.
    alpha = np.asarray(Image.open(tmp_path / "live_125.png").convert("RGBA").resize((256, 256)))[..., 3]
    expected = over_world(tmp_path / "live_125.png", middle[2, 2])
    assert (alpha > 128).mean() > 0.25
    assert psnr(middle, expected, alpha == 255) > 24
    # It follows the timeline, and no stale frame stays: back at frame 1 it is frame 1 again, and so it is after undo.
    # The sidebar lies over the frame's right, the pointer may rest at its edges.
    beside_panel = np.s_[20:230, :215]
    assert psnr(first, middle, beside_panel) < 20
    assert psnr(first, again, beside_panel) > 35
    assert psnr(first, changed, beside_panel) < 25, "what is undone could be seen"
    assert psnr(first, undone, beside_panel) > 35

    assert result["pending_after_scrub"] <= 3
    assert result["counts"]["changed"] >= 40
    assert result["keyed"]
    assert result["dragged"]["moved"]
    assert result["dragged"]["shown"] >= 3, "views followed the hand while it moved"
    assert result["card"]
    refused, failed, line = result["words"]
    assert refused.endswith("Wähle die Kamera des Schnitts")
    assert "Nicht lesbar (No such file or directory): 'ada.png'." in failed
    assert line == "Abgebrochen"
    assert "extensions" in result["zmq"], "the bundled wheel is used"


def test_the_extension_can_go_and_come_while_it_renders(play, backend, portrait):
    result = play("mishaps", portrait=str(portrait))
    assert result["rendering"]
    assert result["gone"]
    assert result["rendered"] < 100, "the render gave up"
    assert result["live"], "the preview goes on as it was left"


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """A face that leans to and fro, for a second, and for longer than any test."""
    folder = tmp_path_factory.mktemp("videos")
    swing = leaning(skimage.data.astronaut(), LEAN * np.sin(2 * np.pi * np.arange(RATE) / RATE))
    return write_movie(folder / "lean.mp4", swing), write_movie(folder / "long.mp4", swing * 60)


def test_takes_videos_and_a_camera_drive_the_head(play, backend, commands, portrait, videos, tmp_path):
    short, long = map(str, videos)
    take = shutil.copy(SAMPLE, tmp_path)
    result = play(
        "performing", portrait=str(portrait), port=commands.port, take=str(take), video=short, long_video=long
    )
    sample = Performance.load(take)
    turned = np.linalg.norm(result["take"]["turns"], axis=1)
    assert result["take"]["first"] == 10
    assert sorted(result["take"]["slots"]) == ["KEY", "OBJECT"]
    assert len(turned) == len(sample)
    assert np.abs(turned - np.linalg.norm(sample.head, axis=1)).max() < 0.05
    assert result["undone"], "one step takes all of it back"
    assert result["redone"]

    assert "Tracking the video" in result["while_tracking"]
    assert result["tracks_still"], "the timeline played while the video was tracked"
    assert result["cancelled"] == {"message": "Cancelled", "actions": []}
    assert [words for words, _ in commands.ended if str(long) in words and words[0] == "track"]

    for name in ("video", "recorded"):
        # Which of a camera's pictures is the first, and so neutral, is up to the machine.
        lean = np.degrees(np.ptp(result[name]["turns"], axis=0).max())
        assert lean == pytest.approx(2 * LEAN, abs=4)
    assert result["video"]["name"].startswith("lean")
    assert len(result["video"]["turns"]) == RATE
    assert result["nla"] == [True]
    assert result["raw_views"] > 5, "the viewport followed the camera"
    print("camera to head, ms: median, p95, longest:", *result["camera"])
