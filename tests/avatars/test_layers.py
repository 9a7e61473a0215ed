"""Layers of alpha over what is solid: as a painter would lay them, from the farthest to the nearest."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.avatars.bust.shading import ATTRIBUTES, peel, shade
from backend.geometry.rasterizer import rasterize

SQUARE = np.array([[0, 0], [8, 0], [8, 8], [0, 8]], float)
QUAD = np.array([[0, 1, 2], [0, 2, 3]])
colors = st.tuples(*[st.integers(0, 255)] * 3)


def sheets(depths):
    """Screen vertices (4 n, 3) of sheets that fill an 8 x 8 view, and their faces."""
    screen = np.concatenate([np.column_stack([SQUARE, np.full(4, depth)]) for depth in depths])
    return screen, np.concatenate([QUAD + 4 * k for k in range(len(depths))]).astype(np.int32)


def shown(clear, solid):
    """The middle pixel of sheets (depth, colour, alpha), in any order, over one solid sheet (depth, colour) or none."""
    listed = [*clear, *([(*solid, 255)] if solid else [])]
    screen, faces = sheets([sheet[0] for sheet in listed])
    atlas = np.zeros((8, 8 * len(listed), 5), np.uint8)
    for k, (_, color, alpha) in enumerate(listed):
        atlas[:, 8 * k : 8 * k + 8] = (*color, alpha, 255)
    texels = np.concatenate([np.tile([8 * k + 3.5, 3.5], (4, 1)) for k in range(len(listed))]).astype(np.float32)
    count = 2 * len(clear)
    parts = [(np.ascontiguousarray(f),) * 2 for f in (faces[:count], faces[count:])]
    layers = peel(screen, parts[0][0], parts[1][0], 8, 8)
    attributes = np.zeros((len(screen), ATTRIBUTES), np.float32)
    rgba, depth, *_ = shade(layers, *parts, texels, attributes, atlas, np.zeros((4, 4, 3), np.uint8), 1)
    return rgba[4, 4].astype(float), depth[4, 4]


@settings(deadline=None, max_examples=30)
@given(
    sheets=st.lists(st.tuples(colors, st.integers(20, 235)), min_size=1, max_size=2),
    behind=st.none() | colors,
    order=st.booleans(),
)
def test_two_layers_composite_as_a_painter_would(sheets, behind, order):
    listed = [(1.0 + 0.1 * k, color, alpha) for k, (color, alpha) in enumerate(sheets)]
    color, through = np.zeros(3), 1.0
    for _, over, alpha in listed:
        color, through = color + through * alpha / 255 * np.array(over), through * (1 - alpha / 255)
    if behind:
        color, through = color + through * np.array(behind), 0.0
    rgba, _ = shown(listed[::-1] if order else listed, (2.0, behind) if behind else None)
    opacity = 1 - through
    assert abs(rgba[3] - 255 * opacity) <= 1.5
    if opacity > 0.05:
        assert np.abs(rgba[:3] - color / opacity).max() <= 2


def test_depth_is_that_of_the_nearest_that_hides_more_than_it_shows():
    assert shown([(1.0, (255, 0, 0), 60)], (2.0, (0, 0, 255)))[1] == np.float32(2.0)
    assert shown([(1.0, (255, 0, 0), 200)], (2.0, (0, 0, 255)))[1] == np.float32(1.0)


def test_layers_that_hide_together_have_the_depth_of_the_one_that_does():
    rgba, depth = shown([(1.0, (255, 0, 0), 100), (1.5, (0, 255, 0), 120)], None)
    assert rgba[3] > 127
    assert depth == np.float32(1.5)


def test_what_is_solid_hides_layers_behind_it():
    rgba, _ = shown([(3.0, (255, 0, 0), 200)], (2.0, (0, 0, 255)))
    assert tuple(rgba) == (0, 0, 255, 255)


@settings(deadline=None, max_examples=30)
@given(st.permutations([1.0, 1.2, 1.5, 2.0]))
def test_layers_are_peeled_one_by_one_whatever_their_order(depths):
    screen, faces = sheets(depths)
    found, last = [], None
    for _ in range(5):
        last = rasterize(screen, faces, 8, 8, behind=last)
        found.append(last.depth[4, 4])
    assert np.allclose(found, [1.0, 1.2, 1.5, 2.0, np.inf])
    before = rasterize(
        screen, faces, 8, 8, before=rasterize(*sheets([1.3]), 8, 8), behind=rasterize(*sheets([1.1]), 8, 8)
    )
    assert np.isclose(before.depth[4, 4], 1.2)
    assert not rasterize(screen, faces, 8, 8, before=rasterize(*sheets([0.9]), 8, 8)).covered.any()
