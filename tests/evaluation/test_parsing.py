"""What says how well regions and mattes are found, on masks whose figures are known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.evaluation.parsing import (
    Overlap,
    alpha_error,
    boundary_f,
    colour_error,
    intersection_over_union,
    unknown_band,
)


def _square(shift: int = 0) -> np.ndarray:
    mask = np.zeros((64, 64), bool)
    mask[20:40, 20 + shift : 40 + shift] = True
    return mask


def test_overlap_is_pooled_over_pixels_and_ignores_what_is_unknown():
    overlap = Overlap(("a", "b", "c"))
    overlap.add(np.array([0, 0, 1, 1], np.uint8), np.array([0, 1, 1, 255], np.uint8))
    overlap.add(np.array([1, 1], np.uint8), np.array([1, 1], np.uint8))
    assert overlap.table() == {"a": pytest.approx(1 / 2), "b": pytest.approx(3 / 4)}


@settings(max_examples=30)
@given(st.integers(0, 19))
def test_intersection_over_union_of_shifted_squares(shift):
    expected = (20 - shift) / (20 + shift)
    assert intersection_over_union(_square(), _square(shift)) == pytest.approx(expected)


@pytest.mark.parametrize(("shift", "found"), [(0, 1.0), (2, 1.0), (12, None)])
def test_a_boundary_may_be_off_by_the_tolerance(shift, found):
    value = boundary_f(_square(shift), _square())
    assert value == 1.0 if found else value < 0.8


def test_nothing_found_has_no_boundary():
    assert boundary_f(np.zeros((64, 64), bool), _square()) == 0.0


def test_alpha_counts_in_the_unknown_band_alone():
    truth = _square().astype(np.float32)
    everywhere = np.ones_like(truth, bool)
    band = unknown_band(truth)
    assert 0 < band.sum() < 1000
    found = np.clip(truth + 0.25 * ~_square(), 0, 1)
    assert alpha_error(found, truth, everywhere) == pytest.approx(0.25 * (band & ~_square()).sum() / 1000)
    found[~band] = 0.5
    assert alpha_error(found, truth, everywhere) == pytest.approx(0.25 * (band & ~_square()).sum() / 1000)
    assert alpha_error(found, truth, ~band) == 0


def test_colour_counts_where_alpha_is_mixed():
    alpha = np.array([[0.0, 0.5, 1.0]], np.float32)
    truth = np.zeros((1, 3, 3), np.uint8)
    found = np.array([[[200] * 3, [30] * 3, [200] * 3]], np.uint8)
    assert colour_error(found, truth, alpha, np.ones((1, 3), bool)) == 30
    assert np.isnan(colour_error(found, truth, np.ones((1, 3)), np.ones((1, 3), bool)))
