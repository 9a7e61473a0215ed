"""Samples are sound, decided by seed, step and process alone, and never of held-out identities."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_corpus import write_tiny_corpus

from backend.people.shards import is_held_out, load_identities, load_preview_identities
from backend.refiner.head_space import UNIT
from backend.refiner.network.diffusion import NOISE_LEVELS
from backend.refiner.network.images import CHANNELS, PICTURE_CHANNELS
from backend.training.batches import StepBatches, batches_from
from backend.training.config import SampleConfig, TrainingConfig
from backend.training.preview_samples import draw_preview, picture_grid
from backend.training.samples import Batch, draw_batch, drop_part


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    write_tiny_corpus(folder, range(9))
    return folder


@pytest.fixture(scope="module")
def identities(corpus):
    return load_identities(corpus, held_out=False)


def same(a: Batch, b: Batch) -> bool:
    def tensors(batch: Batch) -> list[torch.Tensor]:
        return [*batch.views, *batch.reference, batch.truth, batch.weight, batch.turned, batch.noise_level]

    return a.noise_seed == b.noise_seed and all(map(torch.equal, tensors(a), tensors(b)))


def test_held_out_identities_never_leak(corpus, identities):
    train = {identity.seed for identity in identities}
    held = {identity.seed for identity in load_identities(corpus, held_out=True)}
    assert not train & held
    assert held == {seed for seed in range(9) if is_held_out(seed)} == {7}


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_samples_are_sound(seed, identities):
    batch = draw_batch(identities, SampleConfig(crop=24), 2, np.random.default_rng(seed))
    assert same(batch, draw_batch(identities, SampleConfig(crop=24), 2, np.random.default_rng(seed)))
    assert batch.views.stacked().shape == (2, 2, CHANNELS, 24, 24)
    assert batch.reference.stacked().shape == (2, CHANNELS, 24, 24)
    assert batch.views.stacked()[:, :, :PICTURE_CHANNELS].abs().max() <= 1 + 1e-5
    assert set(np.round(batch.noise_level.tolist(), 3)) <= set(NOISE_LEVELS)
    # No loss outside the raw view's alpha.
    assert (batch.weight[batch.views.alpha < 0.9] == 0).all()


def test_a_mirrored_sample_mirrors_its_places(identities):
    """The tiny corpus' places are the pixels', so what a place says and where it is agree, left and right exchanged."""
    plain = SampleConfig(crop=32, unplaced=0.0)
    seen = set()
    for seed in range(12):
        x = draw_batch(identities, plain, 1, np.random.default_rng(seed)).reference.place[0, 0]
        columns = x[16, 8:24].numpy() * UNIT * 32 + 16
        straight = np.arange(8, 24)
        mirrored = np.allclose(columns, straight + 1, atol=0.1)
        assert mirrored or np.allclose(columns, straight, atol=0.1)
        seen.add(mirrored)
    assert seen == {True, False}


def test_avatars_without_places_are_trained_for(identities):
    batch = draw_batch(identities, SampleConfig(crop=24, unplaced=1.0), 1, np.random.default_rng(0))
    assert all((part == 0).all() for x in (batch.views, batch.reference) for part in (x.place, x.warped))


def test_blind_samples_have_neither_the_portrait_nor_its_warp(identities):
    seeing, blind = (
        draw_batch(identities, SampleConfig(crop=24, unplaced=0.0, blind=share), 1, np.random.default_rng(0))
        for share in (0.0, 1.0)
    )
    assert (seeing.views.warped != 0).any()
    assert (blind.views.warped == 0).all()
    assert all(map(torch.equal, blind.views[:-1], seeing.views[:-1]))
    nothing = torch.tensor([0.0, 0, 0, -1, -1, 0, 0, 0, 0, 0, 0])
    assert (blind.reference.stacked() == nothing[:, None, None]).all()


def test_what_is_no_head_is_to_be_kept(identities):
    # Clothes: half of a picture that is solid all over.
    solid = [
        dataclasses.replace(i, raw=i.raw | np.uint8([0, 0, 0, 255]), head=i.head & np.uint8(0)) for i in identities
    ]
    plain = SampleConfig(crop=24, dropped=0, sure_weight=1)
    left_out = draw_batch(solid, plain, 2, np.random.default_rng(3))
    kept = draw_batch(
        solid, SampleConfig(crop=24, dropped=0, sure_weight=1, kept_weight=0.25), 2, np.random.default_rng(3)
    )
    assert (left_out.weight == 0).all()
    assert (kept.weight == 0.25).all()
    assert torch.equal(kept.truth, kept.views.color)
    assert not torch.equal(left_out.truth, kept.truth)


def test_every_noise_level_of_the_paper_is_drawn(identities):
    rng = np.random.default_rng(0)
    drawn = torch.cat([draw_batch(identities, SampleConfig(crop=8), 4, rng).noise_level for _ in range(40)])
    assert set(np.round(drawn.tolist(), 3)) == {0.0, 0.1, 0.2, 0.3, 0.4, 0.5}


@pytest.mark.parametrize("views", [1, 2])
def test_a_sample_has_as_many_views_as_the_config_says(identities, views):
    batch = draw_batch(identities, SampleConfig(views=views, crop=16), 3, np.random.default_rng(0))
    assert batch.views.color.shape[:2] == batch.truth.shape[:2] == (3, views)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_dropping_only_takes_away(seed):
    rng = np.random.default_rng(seed)
    raw = rng.integers(0, 256, (32, 32, 4), np.uint8)
    confidence = rng.random((32, 32)).astype(np.float32)
    warped = rng.integers(0, 256, (32, 32, 3), np.uint8)
    dropped, softened, trust = drop_part(raw, warped, confidence, rng)
    assert (trust <= confidence).all()
    assert (softened[trust == confidence] == warped[trust == confidence]).all()
    lost = trust < 0.1 * confidence
    assert not lost.any() or (softened[lost] != warped[lost]).any()
    assert (dropped[..., 3] == raw[..., 3]).all()
    untouched = trust == confidence
    assert (dropped[..., :3][untouched] == raw[..., :3][untouched]).all()


def test_seed_step_and_process_alone_decide_the_batches(identities):
    config = TrainingConfig(corpus="", folder="", steps=6, accumulation=2, samples=SampleConfig(crop=16))
    straight = list(batches_from(StepBatches(identities, config, process=0), 0))
    later = list(batches_from(StepBatches(identities, config, process=0), 4))
    other = list(batches_from(StepBatches(identities, config, process=1), 0))
    assert [len(batches) for batches in straight] == [2] * 6
    for step in (4, 5):
        assert all(map(same, straight[step], later[step - 4]))
    everything = [batch for batches in (*straight, *other) for batch in batches]
    assert len({batch.noise_seed for batch in everything}) == len(everything) == 24


def test_workers_prepare_the_same_batches_in_the_same_order(identities):
    config = TrainingConfig(corpus="", folder="", steps=5, workers=2, samples=SampleConfig(crop=16))
    dataset = StepBatches(identities, config, process=0)
    for step, batches in enumerate(batches_from(dataset, 0)):
        assert all(map(same, batches, dataset[step]))


def test_the_grid_shows_raw_refined_truth_and_reference(corpus):
    preview = draw_preview(load_preview_identities(corpus), SampleConfig(crop=16))
    grid = picture_grid(preview, torch.full_like(preview.truth, -1.0))
    # One identity of nine is held out.
    assert grid.shape == (2 * 16, 4 * 16, 3)
    assert (grid[:, 16:32] == 0).all()
    # The second view of the first sample, its truth and its reference.
    for column, tensor in ((2, preview.truth[0, 1]), (3, preview.reference.color[0])):
        shown = grid[16:32, 16 * column : 16 * column + 16] / 127.5 - 1
        np.testing.assert_allclose(shown, tensor.permute(1, 2, 0).numpy(), atol=0.005)
