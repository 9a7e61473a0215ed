"""In Blender's own window, from the installed zip: the three steps, scrubbing, the hand, undo, the card."""

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.slow


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
