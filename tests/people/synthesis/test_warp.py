"""A picture with depth drawn again from elsewhere: a plane and a step, where the answer is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.metrics.psnr_ssim import psnr
from backend.people.pairing.warp import warp
from backend.protocol.camera import Camera

SIZE = 96
CAMERA = Camera.from_arrays([[200, 0, 48], [0, 200, 48], [0, 0, 1]], np.eye(4), SIZE, SIZE)


def pattern(x, y):
    """(..., 3) colours of a plane, smooth enough to be resampled."""
    waves = [np.sin(x / 4), np.cos(y / 5), np.sin((x + y) / 6)]
    return 127 + 90 * np.stack(waves, -1)


def picture():
    y, x = np.mgrid[:SIZE, :SIZE] + 0.5
    return np.concatenate([pattern(x, y), np.full((SIZE, SIZE, 1), 255)], -1).round().astype(np.uint8)


def still(points):
    return points, np.ones(len(points), bool)


def test_nothing_moved_is_nothing_changed():
    rgba, everything = picture(), np.ones((SIZE, SIZE), bool)
    same = warp(rgba, np.ones((SIZE, SIZE), np.float32), everything, CAMERA, still, CAMERA)
    inner = np.zeros((SIZE, SIZE), bool)
    inner[2:-2, 2:-2] = True
    assert psnr(same.rgba[..., :3], rgba[..., :3], inner) > 45
    assert (same.trusted[inner] == 1).all()


@settings(max_examples=10, deadline=None)
@given(st.floats(-0.02, 0.02), st.floats(-0.02, 0.02), st.floats(0.9, 1.2))
def test_a_moved_plane_is_seen_where_it_went(x, y, nearer):
    def move(points):
        return (points + np.array([x, y, 0])) * [1, 1, nearer], np.ones(len(points), bool)

    moved = warp(picture(), np.ones((SIZE, SIZE), np.float32), np.ones((SIZE, SIZE), bool), CAMERA, move, CAMERA)
    row, column = np.mgrid[:SIZE, :SIZE] + 0.5
    expected = pattern(48 + (column - 48) * nearer - 200 * x, 48 + (row - 48) * nearer - 200 * y)
    seen = moved.trusted == 1
    assert seen.mean() > 0.5
    assert psnr(moved.rgba[..., :3], expected, seen) > 33


def test_what_opens_between_near_and_far_is_not_trusted():
    depth = np.where(np.arange(SIZE) < 48, 0.8, 1.0)[None].repeat(SIZE, 0).astype(np.float32)

    def move(points):
        return points - np.outer(points[:, 2] < 0.9, [0.03, 0, 0]), np.ones(len(points), bool)

    opened = warp(picture(), depth, np.ones((SIZE, SIZE), bool), CAMERA, move, CAMERA)
    # The near half went 0.03 m to the left, 7.5 pixels at its depth.
    middle = opened.trusted[48]
    assert (middle[42:47] == 0).all()
    assert (middle[50:90] == 1).all()
    assert (middle[2:38] == 1).all()
    # There is a colour all the same, so that nothing shines through a head.
    assert (opened.rgba[48, 42:47, 3] == 255).all()


def test_masks_of_pixels_and_of_points_are_kept():
    mask = np.ones((SIZE, SIZE), bool)
    mask[:, :20] = False
    half = warp(picture(), np.ones((SIZE, SIZE), np.float32), mask, CAMERA, lambda p: (p, p[:, 1] > 0), CAMERA)
    assert half.trusted[60, 40] == 1
    assert half.trusted[60, 10] == 0
    assert half.trusted[30, 40] == 0


def test_edges_keep_their_share():
    rgba = picture()
    rgba[:, 48:, 3] = 0
    rgba[:, 47, 3] = 128
    depth = (rgba[..., 3] > 0).astype(np.float32)
    same = warp(rgba, depth, depth > 0, CAMERA, still, CAMERA)
    assert same.rgba[48, 47, 3] == pytest.approx(128, abs=12)
    assert same.rgba[48, 60, 3] == 0
    # Colour does not darken towards the edge.
    assert np.abs(same.rgba[10:80, 46, :3].astype(int) - rgba[10:80, 46, :3]).mean() < 12
