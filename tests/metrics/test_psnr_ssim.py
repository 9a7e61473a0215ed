"""Metrics against other implementations, and regions that do not overlap."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from backend.evaluation.regions import REGIONS, regions_of
from backend.metrics.psnr_ssim import psnr, ssim_map


def test_psnr_is_the_usual_one_over_the_whole_image():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 256, (2, 20, 30, 3)).astype(np.uint8)
    everywhere = np.ones((20, 30), bool)
    assert psnr(a, b, everywhere) == pytest.approx(peak_signal_noise_ratio(a, b, data_range=255))
    assert ssim_map(a, b).mean() == pytest.approx(
        structural_similarity(a, b, channel_axis=2, data_range=255, full=True)[1].mean()
    )


def test_only_the_mask_counts():
    a = np.zeros((8, 8, 3), np.uint8)
    b = a.copy()
    b[4:] = 255
    upper = np.zeros((8, 8), bool)
    upper[:4] = True
    assert psnr(a, b, upper) == float("inf")
    assert psnr(a, b, ~upper) == pytest.approx(0)
    assert np.isnan(psnr(a, b, np.zeros((8, 8), bool)))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_regions_are_apart(seed):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:48, :48]
    disc = lambda cx, cy, r: ((np.hypot(x - cx, y - cy) < r) * 255).astype(np.uint8)  # noqa: E731
    raw, true = disc(*rng.uniform(18, 30, 2), rng.uniform(8, 18)), disc(*rng.uniform(18, 30, 2), rng.uniform(8, 18))
    head = true * (y < 30).astype(np.uint8)
    masks = regions_of(raw, true, head, rng.random((48, 48)))
    assert set(masks) == set(REGIONS)
    assert (sum(mask.astype(int) for mask in masks.values()) <= 1).all()
    for name in ("confident", "doubtful"):
        assert (raw[masks[name]] == 255).all()
        assert (head[masks[name]] == 255).all()
