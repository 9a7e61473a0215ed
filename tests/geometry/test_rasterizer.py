"""The rasteriser against geometry that is known exactly."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.geometry.rasterizer import interpolate, rasterize

QUAD = np.array([[0, 1, 2], [0, 2, 3]], np.int32)


def quad(width, height, depths=(1.0, 1.0, 1.0, 1.0)):
    """A rectangle from corner to corner of an image, with a depth at each corner."""
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], float)
    return np.column_stack([corners, depths]).astype(np.float32)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 40), st.integers(1, 40))
def test_two_triangles_cover_a_rectangle_without_a_seam(width, height):
    raster = rasterize(quad(width, height), QUAD, width, height)
    assert raster.covered.all()
    np.testing.assert_allclose(raster.barycentric.sum(2), 1, atol=1e-4)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1))
def test_attributes_are_interpolated_in_perspective(seed):
    """A plane in space: interpolating camera points must give back the pixel's own ray."""
    rng = np.random.default_rng(seed)
    focal, size = 60.0, 48
    points = np.column_stack([rng.uniform(-0.5, 0.5, (3, 2)), rng.uniform(1, 3, 3)])
    screen = np.column_stack([focal * points[:, :2] / points[:, 2:] + size / 2, points[:, 2]])
    raster = rasterize(screen, np.array([[0, 1, 2]]), size, size)
    found = interpolate(raster, np.array([[0, 1, 2]]), points)[raster.covered]
    rows, columns = np.nonzero(raster.covered)
    projected = focal * found[:, :2] / found[:, 2:] + size / 2
    np.testing.assert_allclose(projected, np.column_stack([columns, rows]) + 0.5, atol=0.02)
    np.testing.assert_allclose(found[:, 2], raster.depth[raster.covered], rtol=1e-4)


def test_the_nearest_surface_wins_whatever_the_order():
    vertices = np.concatenate([quad(8, 8, [2.0] * 4), quad(4, 8, [1.0] * 4)])
    faces = np.concatenate([QUAD, QUAD + 4])
    for order in (faces, faces[::-1]):
        depth = rasterize(vertices, order, 8, 8).depth
        assert (depth[:, :4] == 1).all()
        assert (depth[:, 4:] == 2).all()


def test_what_is_behind_the_camera_or_no_number_is_not_drawn():
    for z in (0.0, -1.0, np.nan):
        assert not rasterize(quad(8, 8, [1.0, 1.0, z, z]), QUAD[1:], 8, 8).covered.any()
    empty = rasterize(quad(8, 8) + np.array([100, 0, 0]), QUAD, 8, 8)
    assert not empty.covered.any()
    assert np.isinf(empty.depth).all()
