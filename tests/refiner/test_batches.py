"""Several samples in one evaluation, several references, little memory, and results that are no numbers."""

import numpy as np
import pytest
import torch
from tiny_refiners import SIZE, random_view, tiny_refiner

from backend.protocol.errors import TurboPortraitError
from backend.refiner import ReferenceState

SAMPLES = [[random_view(2 * i, 0.0), random_view(2 * i + 1, 0.0)] for i in range(3)]


@pytest.fixture(scope="module")
def refiner():
    return tiny_refiner()


@pytest.fixture(scope="module")
def references(refiner):
    # Latents of random networks are small; these are as large as trained ones.
    rng = np.random.default_rng(2)
    return [ReferenceState(3 * rng.standard_normal((1, 4, 8, 8), np.float32)) for _ in range(3)]


def same(first, second, levels=1):
    # Other batch sizes may sum in another order and round to the next grey level.
    return all(np.abs(a.astype(int) - b).max() <= levels for a, b in zip(first, second, strict=True))


def test_a_batch_is_its_samples_one_by_one(refiner, references):
    together = refiner.refine_batch(SAMPLES, references, seed=4)
    for sample, reference, refined in zip(SAMPLES, references, together, strict=True):
        assert same(refined, refiner.refine(sample, reference, seed=4))
    assert not same(together[1], refiner.refine(SAMPLES[1], references[0], seed=4), 3)
    for sample, refined in zip(SAMPLES, refiner.refine_batch(SAMPLES, references[0], seed=4), strict=True):
        assert same(refined, refiner.refine(sample, references[0], seed=4))
    for sample, refined in zip(SAMPLES, refiner.refine_batch(SAMPLES, None), strict=True):
        assert same(refined, refiner.refine(sample, None))


def test_several_references_in_any_order(refiner, references):
    loud = ReferenceState(np.concatenate([state.latent for state in references]))
    refined = refiner.refine(SAMPLES[0], loud)
    assert same(refined, refiner.refine(SAMPLES[0], ReferenceState(loud.latent[::-1].copy())))
    assert not same(refined, refiner.refine(SAMPLES[0], references[0]), 3)


def test_batches_that_are_none_are_refused(refiner, references):
    assert refiner.refine_batch([], None) == []
    with pytest.raises(ValueError, match="same number of views"):
        refiner.refine_batch([SAMPLES[0], SAMPLES[1][:1]], None)
    with pytest.raises(ValueError, match="2 references for 3 samples"):
        refiner.refine_batch(SAMPLES, references[:2])
    two = references[1].joined(refiner.encode_reference(random_view(5).rgba))
    with pytest.raises(ValueError, match="same number of reference images"):
        refiner.refine_batch(SAMPLES[:2], [references[0], two])


class LittleMemory(torch.nn.Module):
    """A layer that has memory for so many images and no more."""

    def __init__(self, layer, images, error):
        super().__init__()
        self.layer, self.images, self.error = layer, images, error
        self.seen = []

    def forward(self, x):
        if len(x) > self.images:
            raise self.error
        self.seen.append(len(x))
        return self.layer(x)


OUT = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9.00 GiB")
OUT_ON_CPU = RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: you tried")


@pytest.mark.parametrize("error", [OUT, OUT_ON_CPU, MemoryError()], ids=["cuda", "cpu", "python"])
def test_a_batch_that_is_too_large_is_split_and_said(references, error):
    refiner = tiny_refiner()
    expected = refiner.refine_batch(SAMPLES, references)
    refiner.vae.encoder.conv_in = LittleMemory(refiner.vae.encoder.conv_in, 2, error)
    said = []
    refined = refiner.refine_batch(SAMPLES, references, warn=said.append)
    assert refiner.vae.encoder.conv_in.seen == [2, 2, 2]
    assert all(same(a, b) for a, b in zip(refined, expected, strict=True))
    assert [text.startswith("memory ran out") for text in said] == [True, True]


def test_views_of_one_sample_are_split_last_and_said(references, caplog):
    refiner = tiny_refiner()
    refiner.vae.encoder.conv_in = LittleMemory(refiner.vae.encoder.conv_in, 1, OUT)
    alone = [refiner.refine([view], references[0])[0] for view in SAMPLES[0]]
    assert same(refiner.refine(SAMPLES[0], references[0]), alone)
    assert "no longer see each other" in caplog.text
    refiner.vae.encoder.conv_in.images = 0
    with pytest.raises(TurboPortraitError) as caught:
        refiner.refine(SAMPLES[0], references[0])
    assert caught.value.code == "out_of_memory"


def test_other_errors_are_not_taken_for_little_memory():
    refiner = tiny_refiner()
    refiner.vae.encoder.conv_in = LittleMemory(refiner.vae.encoder.conv_in, 0, RuntimeError("a mistake"))
    with pytest.raises(RuntimeError, match="a mistake"):
        refiner.refine(SAMPLES[0], None)


def test_latents_that_are_no_numbers_give_the_raw_views_and_a_warning(refiner, references):
    broken = ReferenceState(references[0].latent.copy())
    broken.latent[0, 0, 3, 3] = float("nan")
    said = []
    refined = refiner.refine_batch(SAMPLES, [references[0], broken, references[1]], warn=said.append)
    assert all((a == view.rgba[..., :3]).all() for a, view in zip(refined[1], SAMPLES[1], strict=True))
    assert same(refined[0], refiner.refine(SAMPLES[0], references[0]))
    assert same(refined[2], refiner.refine(SAMPLES[2], references[1]))
    assert len(said) == 1
    assert said[0].startswith("2 of 6 views could not be refined")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_an_output_that_overflows_gives_the_raw_view(value):
    refiner = tiny_refiner(blend=False, skips=False)
    refiner.vae.decoder.conv_out.bias.data[1] = value
    said = []
    view = random_view(0)
    assert (refiner.refine([view], None, warn=said.append)[0] == view.rgba[..., :3]).all()
    assert len(said) == 1
    assert view.rgba.shape == (SIZE, SIZE, 4)
