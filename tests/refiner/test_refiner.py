"""What users of the refiner rely on: order, seeds, a clean reference, and no harm where the photo is sure."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_refiners import SIZE, random_view, tiny_refiner, tiny_refiner_with_coordinates

from backend.avatars.base import RenderedView
from backend.refiner import Refiner, RefinerConfig, available_presets
from backend.refiner.network.diffusion import clean_latent, mix_noise, signal_level


@pytest.fixture
def refiner() -> Refiner:
    return tiny_refiner()


@pytest.fixture
def reference(refiner):
    return refiner.encode_reference(random_view(99).rgba)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_views_in_any_order_give_the_same_views_in_that_order(refiner, reference, order):
    views = [random_view(i) for i in range(3)]
    straight = refiner.refine(views, reference)
    shuffled = refiner.refine([views[i] for i in order], reference)
    for place, index in enumerate(order):
        # Sums over tokens in another order may round to the next grey level.
        assert np.abs(shuffled[place].astype(int) - straight[index]).max() <= 1


def test_views_and_reference_influence_each_other(refiner, reference):
    view = random_view(0, confidence=0.0)
    alone = refiner.refine([view], reference)[0]
    together = refiner.refine([view, random_view(1)], reference)[0]
    without = refiner.refine([view], None)[0]
    assert (alone != together).any()
    assert (alone != without).any()


def test_the_references_latent_is_never_noised(refiner, reference):
    seen = []
    refiner.unet.conv_in.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].clone()))
    views = [random_view(0), random_view(1)]
    refiner.refine(views, reference, noise_level=0.0)
    refiner.refine(views, reference, noise_level=0.5)
    clean, noisy = seen
    torch.testing.assert_close(clean[2:], torch.from_numpy(reference.latent))
    torch.testing.assert_close(noisy[2:], torch.from_numpy(reference.latent))
    assert not torch.allclose(clean[:2], noisy[:2])


def test_the_seed_fixes_the_result(refiner, reference):
    views = [random_view(0, 0.0), random_view(1, 0.0)]
    first = refiner.refine(views, reference, seed=7)
    again = refiner.refine(views, reference, seed=7)
    other = refiner.refine(views, reference, noise_level=0.5, seed=8)
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert any((a != b).any() for a, b in zip(first, other, strict=True))


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000), noise=st.sampled_from([0.0, 0.1, 0.5]))
def test_full_confidence_and_no_alpha_leave_the_raw_view(seed, noise):
    refiner = _shared()
    view = random_view(seed)
    sure = np.random.default_rng(seed).random((SIZE, SIZE)) < 0.5
    view = RenderedView(view.rgba, view.depth, np.where(sure, np.float32(1), view.confidence * 0.9))
    refined = refiner.refine([view], None, noise_level=noise)[0]
    raw = view.rgba[..., :3]
    keep = sure | (view.rgba[..., 3] == 0)
    assert (refined[keep] == raw[keep]).all()
    assert (refined[~keep] != raw[~keep]).any()


def test_a_turned_view_is_free_to_change_where_the_photo_was_sure():
    refiner = tiny_refiner()
    refiner.config = replace(refiner.config, free_turn=(5.0, 15.0))
    view = random_view(3, 1.0)
    raw, solid = view.rgba[..., :3], view.rgba[..., 3] > 0

    def moved(degrees: float) -> np.ndarray:
        refined = refiner.refine([replace(view, turned=float(np.radians(degrees)))], None)[0]
        return np.abs(refined.astype(int) - raw)[solid].mean()

    assert moved(0) == moved(5) == 0
    assert 0 < moved(7) < moved(10) < moved(15)
    assert moved(15) == moved(60)
    # Shoulders are held as if they had not turned.
    head = np.zeros((SIZE, SIZE), np.float32)
    head[: SIZE // 2] = 1
    refined = refiner.refine([replace(view, turned=1.0, head=head)], None)[0]
    changed = (refined != raw).any(-1)
    assert changed[: SIZE // 2].any()
    assert not changed[SIZE // 2 :].any()


def test_views_from_behind_stay_as_they_are():
    refiner = tiny_refiner()
    refiner.config = replace(refiner.config, last_turn=(90.0, 110.0))
    view = random_view(3, 0.0)
    raw, solid = view.rgba[..., :3], view.rgba[..., 3] > 0

    def moved(degrees: float) -> np.ndarray:
        refined = refiner.refine([replace(view, turned=float(np.radians(degrees)))], None)[0]
        return np.abs(refined.astype(int) - raw)[solid].mean()

    assert moved(0) == moved(89) > moved(95) > moved(105) > 0
    assert moved(111) == moved(180) == 0


def test_views_from_behind_do_not_reach_the_networks():
    """So the others are refined as if they were alone, whatever the other samples of a batch show."""
    refiner = tiny_refiner_with_coordinates()
    refiner.config = replace(refiner.config, last_turn=(90.0, 110.0), head_only=True)
    front, side, behind = (
        replace(random_view(seed, 0.0), turned=float(np.radians(degrees)))
        for seed, degrees in ((3, 0), (4, 80), (5, 170))
    )
    alone = refiner.refine([front, side], None)
    together = refiner.refine([front, behind, side], None)
    assert np.array_equal(together[0], alone[0])
    assert np.array_equal(together[1], behind.rgba[..., :3])
    assert np.array_equal(together[2], alone[1])
    batch = refiner.refine_batch([[front, behind], [behind, side], [behind, behind]], None)
    assert np.array_equal(batch[0][0], refiner.refine([front], None)[0])
    assert np.array_equal(batch[1][1], refiner.refine([side], None)[0])
    assert np.array_equal(batch[2][1], behind.rgba[..., :3])


def test_large_changes_are_doubted_and_small_ones_stay():
    refiner = tiny_refiner()
    view = random_view(3, 0.0)
    raw, solid = view.rgba[..., :3], view.rgba[..., 3] == 255

    def change(scale: float | None) -> np.ndarray:
        refiner.config = replace(refiner.config, outlier_scale=scale)
        return (refiner.refine([view], None)[0].astype(float) - raw)[solid]

    whole = change(None)
    length = np.linalg.norm(whole, axis=1)
    # Where nothing is cut off at black or white.
    within = (np.abs(whole + raw[solid] - 127.5) < 120).all(1)
    assert length[within].max() > 60
    for scale in (1000.0, 30.0):
        expected = whole / (1 + (length / scale) ** 2)[:, None]
        np.testing.assert_allclose(change(scale)[within], expected[within], atol=1.5)
    assert np.linalg.norm(change(30.0), axis=1).max() <= 15 + 1


def test_a_part_of_the_hold_can_stay_however_far_a_view_is_turned():
    refiner = tiny_refiner()
    view = replace(random_view(3, 1.0), turned=1.0)
    raw, solid = view.rgba[..., :3], view.rgba[..., 3] > 0

    def moved(least_hold: float) -> np.ndarray:
        refiner.config = replace(refiner.config, free_turn=(5.0, 15.0), least_hold=least_hold)
        return (refiner.refine([view], None)[0].astype(float) - raw)[solid]

    free = moved(0.0)
    # Where nothing is cut off at black or white.
    within = (np.abs(raw[solid].astype(int) - 128) < 80) & (np.abs(free) < 40)
    np.testing.assert_allclose(moved(0.25)[within], 0.75 * free[within], atol=1.01)
    assert np.abs(free).mean() > 1
    assert (moved(1.0) == 0).all()


_CACHE: list[Refiner] = []


def _shared() -> Refiner:
    if not _CACHE:
        _CACHE.append(tiny_refiner())
    return _CACHE[0]


def test_no_output_outside_alpha_in_the_papers_setting():
    refiner = tiny_refiner(blend=False, skips=False, tokens=4)
    view = random_view(0)
    refined = refiner.refine([view], refiner.encode_reference(random_view(9).rgba))[0]
    outside = view.rgba[..., 3] == 0
    assert (refined[outside] == view.rgba[..., :3][outside]).all()
    assert (refined[~outside] != view.rgba[..., :3][~outside]).mean() > 0.9


def test_no_views_give_no_views(refiner, reference):
    assert refiner.refine([], reference) == []


def test_wrong_sizes_and_levels_are_refused(refiner):
    small = random_view(0)
    small = RenderedView(small.rgba[:16], small.depth[:16], small.confidence[:16])
    with pytest.raises(ValueError, match="render it at 32"):
        refiner.refine([small], None)
    with pytest.raises(ValueError, match="reference portrait"):
        refiner.encode_reference(small.rgba)
    with pytest.raises(ValueError, match="noise level"):
        refiner.refine([random_view(0)], None, noise_level=1.5)


@given(level=st.floats(0, 1), signal=st.floats(0.01, 0.99))
def test_the_schedulers_formula_inverts_the_forward_process(level, signal):
    clean, noise = torch.randn(2, 3), torch.randn(2, 3)
    noised = signal**0.5 * clean + (1 - signal) ** 0.5 * noise
    torch.testing.assert_close(clean_latent(noised, noise, signal), clean, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(mix_noise(clean, noise, level), clean + level * (noise - clean), rtol=1e-4, atol=1e-5)


def test_the_signal_level_is_the_schedulers():
    from diffusers import DDPMScheduler

    scheduler = DDPMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
    assert signal_level(RefinerConfig("x")) == pytest.approx(scheduler.alphas_cumprod[400].item(), rel=1e-4)


def test_both_presets_ship():
    assert {"compact", "turbo"} <= set(available_presets())
    with pytest.raises(ValueError, match="there are: compact, turbo"):
        Refiner.from_preset("nope")
