"""Pictures: the viewport, F12 and a batch put heads over each other in the same way."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.batch.layers import stack
from backend.protocol.pictures import (
    GREY,
    NO_DEPTH,
    TO_LINEAR,
    bytes_over_grey,
    composite,
    flatten,
    over,
    premultiplied,
    straight_bytes,
    to_srgb,
)

SIDE = 6


def heads(seed: int, count: int, opacity: tuple[int, ...]):
    """Frames and depths of heads with holes, of few depths, so that many are equally near."""
    rng = np.random.default_rng(seed)
    frames = rng.integers(0, 256, (count, SIDE, SIDE, 4), np.uint8)
    frames[..., 3] = rng.choice(np.array(opacity, np.uint8), (count, SIDE, SIDE))
    depths = rng.integers(1, 4, (count, SIDE, SIDE)).astype(np.float32)
    depths[frames[..., 3] == 0] = np.inf
    return list(frames), list(depths)


def test_every_level_comes_back():
    levels = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(to_srgb(TO_LINEAR[levels]), levels)
    opaque = np.stack([levels, levels, levels, np.full(256, 255, np.uint8)], -1)
    np.testing.assert_array_equal(straight_bytes(premultiplied(opaque)), opaque)


@settings(deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 4))
def test_viewport_f12_and_batch_show_the_same(seed, count):
    frames, depths = heads(seed, count, (0, 255))
    shown = straight_bytes(composite(frames, depths).color)
    batch = stack([str(n) for n in range(count)], frames, depths, SIDE, SIDE).rgba
    seen = shown[..., 3] > 0
    for other in (batch, flatten(frames, depths)):
        np.testing.assert_array_equal(other[..., 3], shown[..., 3])
        np.testing.assert_array_equal(other[seen], shown[seen])


@settings(deadline=None)
@given(st.integers(0, 2**32))
def test_the_nearer_of_two_is_on_top_and_the_other_shows_through(seed):
    frames, depths = heads(seed, 2, (0, 90, 255))
    color, depth, seen = composite(frames, depths)
    first = (depths[0] <= depths[1])[..., None]
    near, far = (premultiplied(np.where(first, *pair)) for pair in (frames, frames[::-1]))
    np.testing.assert_allclose(color, over(near, far), atol=1e-6)
    np.testing.assert_allclose(seen.sum(0), color[..., 3], atol=1e-6)
    np.testing.assert_array_equal(depth, np.minimum(np.minimum(*depths), NO_DEPTH))
    visible = color[..., 3] > 0.02
    np.testing.assert_allclose(flatten(frames, depths)[visible].astype(int), straight_bytes(color)[visible], atol=1)


@pytest.mark.parametrize(("alpha", "level"), [(0, GREY), (255, 200)])
def test_over_grey(alpha, level):
    rgba = np.full((2, 3, 4), 200, np.uint8)
    rgba[..., 3] = alpha
    np.testing.assert_array_equal(bytes_over_grey(rgba), np.full((2, 3, 3), level))
