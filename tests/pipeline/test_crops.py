"""Refined crops are put back where they belong, in frames of any size."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from little_head import LittleHead, looking_from

from backend.geometry.crops import FADE, composite, overlaps
from backend.protocol.head_parameters import HeadParameters

HEAD = LittleHead("head", np.full((8, 8, 3), (180, 120, 90), np.uint8))
REST = HeadParameters()


def views(width, height, focal=500.0, eye=(0.0, 0.0, 1.0), crop_size=64):
    camera = looking_from(eye, width, height, focal)
    square = HEAD.bounds(camera, REST)
    frame, crop = HEAD.render([camera, camera.crop(*square, crop_size)], REST)
    return frame.rgba, square, crop.rgba


def brighter(rgba, by=30):
    return np.clip(rgba[..., :3].astype(int) + by, 0, 255).astype(np.uint8)


def test_no_change_leaves_the_frame_as_it_is():
    frame, square, crop = views(320, 200)
    assert np.array_equal(composite(frame, square, crop, crop[..., :3]), frame)


@pytest.mark.parametrize(("width", "height", "focal"), [(512, 512, 1000), (640, 360, 700), (48, 32, 30), (256, 256, 9)])
def test_a_constant_change_reaches_every_pixel_of_the_head_whatever_the_scale(width, height, focal):
    frame, square, crop = views(width, height, focal)
    result = composite(frame, square, crop, brighter(crop))
    change = result[..., :3].astype(int) - frame[..., :3]
    seen = frame[..., 3] > 0
    assert seen.any()
    assert np.abs(change[seen] - 30).max() <= 1
    assert not change[~seen].any()
    assert np.array_equal(result[..., 3], frame[..., 3])


def test_the_change_lands_where_it_was_made():
    """The left half of the crop is changed; in the frame, only what lies left of the crop's middle is."""
    frame, square, crop = views(400, 300, 800)
    refined = crop[..., :3].copy()
    refined[:, :32] = brighter(crop)[:, :32]
    change = composite(frame, square, crop, refined)[..., 0].astype(int) - frame[..., 0]
    columns = np.arange(400) + 0.5
    middle = square[0] + square[2] / 2
    texel = square[2] / 64
    seen = frame[..., 3] > 0
    assert (change[:, columns < middle - texel][seen[:, columns < middle - texel]] >= 29).all()
    assert not change[:, columns > middle + texel].any()


def test_the_frames_own_detail_stays():
    """Fine detail that the crop cannot carry is in the frame before and after."""
    frame, square, crop = views(1024, 1024, 2000)
    frame = frame.copy()
    frame[::2, :, :3] = np.clip(frame[::2, :, :3].astype(int) + 20, 0, 255)
    result = composite(frame, square, crop, brighter(crop, 10))
    inside = np.s_[450:570, 450:570]
    before, after = (np.diff(image[inside][..., 0].astype(int), axis=0) for image in (frame, result))
    assert np.abs(after - before).max() <= 1


def test_the_change_fades_out_at_the_crops_border():
    frame = np.full((100, 100, 4), (100, 100, 100, 255), np.uint8)
    crop = np.full((64, 64, 4), (100, 100, 100, 255), np.uint8)
    result = composite(frame, (20, 20, 60), crop, brighter(crop, 50))[..., 0].astype(int)
    assert result[50, 50] == 150
    assert (result[:20] == 100).all()
    assert (result[80:] == 100).all()
    steps = np.diff(result[50, 18:28])
    assert (steps >= 0).all()
    assert steps.max() < 50 / (FADE * 60) * 1.6


@given(
    x0=st.floats(-5000, 5000),
    y0=st.floats(-5000, 5000),
    side=st.floats(1e-3, 1e6),
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
)
def test_any_square_is_fine(x0, y0, side, size):
    frame = np.full((*size, 4), (90, 100, 110, 255), np.uint8)
    crop = np.full((16, 16, 4), (90, 100, 110, 255), np.uint8)
    result = composite(frame, (x0, y0, side), crop, brighter(crop, 30))
    change = result[..., :3].astype(int) - frame[..., :3]
    assert change.min() >= 0
    assert change.max() <= 31
    if not overlaps((x0, y0, side), size[1], size[0]):
        assert not change.any()
