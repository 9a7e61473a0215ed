"""Decals stay on their places of the head, whatever the view."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.people.shards import load_identities
from backend.training.config import SampleConfig
from backend.training.decals import LARGEST, MOST, Decals
from backend.training.paint_layers import overlaid
from backend.training.samples import draw_batch

SIZE = 24


@pytest.fixture
def identities(tiny_corpus):
    return load_identities(tiny_corpus, held_out=False)


def head(shift: int = 0, hole: bool = True) -> np.ndarray:
    """(SIZE, SIZE, 3): a plane of 12 cm, moved by some pixels."""
    y, x = np.mgrid[:SIZE, :SIZE]
    place = np.stack([0.005 * (x - shift) - 0.06, 0.005 * y - 0.06, np.full((SIZE, SIZE), -0.1)], -1)
    place[10:14, 10 + shift : 14 + shift] *= not hole
    return place.astype(np.float16)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_a_decal_is_where_its_place_is_and_nowhere_else(seed):
    rng = np.random.default_rng(seed)
    sure = np.zeros((SIZE, SIZE), bool)
    sure[6:18, 6:18] = True
    decals = Decals.draw(head(), sure, rng)
    assert 1 <= len(decals.centers) <= MOST
    picture = np.full((SIZE, SIZE, 4), 128, np.uint8)
    painted, moved = overlaid(picture, decals.layers(head())), overlaid(picture, decals.layers(head(3)))
    assert (painted[..., 3] == 128).all()
    # Moved with the head, but at the edge that the picture ends the blur.
    assert np.abs(painted[:, 4:-8].astype(int) - moved[:, 7:-5]).max() <= 1
    far = (
        np.linalg.norm(head(hole=False).astype(float)[:, :, None] - decals.centers, axis=-1).min(-1)
        > 1.4 * LARGEST + 0.02
    )
    assert (painted[far] == 128).all()


def test_without_places_nothing_is_painted():
    picture = np.full((SIZE, SIZE, 3), 50, np.uint8)
    decals = Decals.draw(np.zeros((SIZE, SIZE, 3)), np.ones((SIZE, SIZE), bool), np.random.default_rng(0))
    assert (overlaid(picture, decals.layers(head())) == picture).all()


def test_half_the_decals_are_where_the_photo_is_not_sure():
    sure = np.ones((SIZE, SIZE), bool)
    sure[:, :2] = False
    rng = np.random.default_rng(0)
    centers = np.concatenate([Decals.draw(head(), sure, rng).centers for _ in range(200)])
    assert np.mean(centers[:, 0] < -0.0525) == pytest.approx(0.5, abs=0.08)
    for all_sure in (True, False):
        assert len(Decals.draw(head(), np.full((SIZE, SIZE), all_sure), rng).centers)


def test_a_striped_decal_has_both_colours():
    whole, place = np.full((SIZE, SIZE, 3), 50, np.uint8), head(hole=False)
    colors, across = np.array([[[255, 0, 0], [0, 0, 255]]]), np.array([[2 * np.pi, 0, 0]])
    decal = Decals(place[12, 12][None].astype(float), np.full((1, 3), 0.04), colors, across, np.ones(1))
    row = overlaid(whole, decal.layers(place))[12].astype(int)
    assert row[10] == pytest.approx([0, 0, 255], abs=10)
    assert row[14] == pytest.approx([255, 0, 0], abs=10)
    # Eight pixels to a radius, a stripe and its fellow in each.
    assert (np.diff((row[5:20, 0] > row[5:20, 2]).astype(int)) != 0).sum() >= 3


def test_a_sample_s_pictures_wear_the_same_decals(identities):
    plain = dict(crop=32, dropped=0.0, unplaced=0.0)
    changed = 0
    for seed in range(6):
        without, worn = (
            draw_batch(identities, SampleConfig(**plain, marked=share), 1, np.random.default_rng(seed))
            for share in (0.0, 1.0)
        )
        assert without.views.color.shape == worn.views.color.shape
        pictures = ((batch.views.color, batch.truth, batch.reference.color) for batch in (without, worn))
        changed += all((a != b).any() for a, b in zip(*pictures, strict=True))
    assert changed
