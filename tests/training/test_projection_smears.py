"""Smears stand in the warped portrait alone, where the photo is not sure, and lie as its stretched pixels do."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_corpus import write_tiny_corpus

from backend.people.shards import load_identities
from backend.training.config import SampleConfig
from backend.training.projection_smears import add_smears
from backend.training.samples import draw_samples

SIZE = 48


def warped_portrait():
    """A flat colour between the columns 4 and 44; sure in the middle, not at all beside it."""
    warped = np.zeros((SIZE, SIZE, 3), np.uint8)
    warped[:, 4:44] = 128
    confidence = np.zeros((SIZE, SIZE), np.float32)
    confidence[:, 16:32] = 1
    return warped, confidence


@given(st.integers(0, 2**32))
def test_what_the_photo_sees_and_what_is_not_known_stays(seed):
    warped, confidence = warped_portrait()
    smeared = add_smears(warped, confidence, np.random.default_rng(seed))
    assert smeared.dtype == np.uint8
    changed = (smeared != warped).any(-1)
    assert not changed[:, 16:32].any()
    assert not changed[:, :4].any()
    assert not changed[:, 44:].any()
    assert changed[:, 4:16].any()
    assert changed[:, 32:44].any()


def test_smears_run_across_and_differ_from_side_to_side():
    warped, confidence = warped_portrait()
    rng = np.random.default_rng(3)
    along, across, sides = [], [], []
    for _ in range(20):
        change = add_smears(warped, confidence, rng).astype(float) - warped
        along.append(np.abs(np.diff(change[:, 4:16], axis=1)).mean())
        across.append(np.abs(np.diff(change[:, 4:16], axis=0)).mean())
        sides.append(np.corrcoef(change[:, 15].ravel(), change[:, 32].ravel())[0, 1])
    assert np.mean(along) < 0.6 * np.mean(across)
    assert abs(np.mean(sides)) < 0.3


@pytest.mark.parametrize("smeared", [0.0, 1.0])
def test_samples_have_them_in_the_warp_alone(tmp_path, smeared):
    write_tiny_corpus(tmp_path, [1])
    identity = load_identities(tmp_path, held_out=False)[0]
    identity.confidence[:] = 0
    settings = {"views": 1, "crop": 24, "dropped": 0.0, "portrait_view": 0.0, "marked": 0.0, "blind": 0.0}
    plain, other = (
        draw_samples([identity], SampleConfig(smeared=share, **settings), np.random.default_rng(7))
        for share in (0.0, smeared)
    )
    assert all(map(torch.equal, plain.views[:-1], other.views[:-1]))
    assert bool((plain.truth == other.truth).all())
    assert bool((plain.views.warped != other.views.warped).any()) == (smeared > 0)
