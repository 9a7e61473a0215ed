"""Rims stand where the photo is not sure, on the portrait and what is made of it; true views lose them as they turn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_corpus import write_tiny_corpus

from backend.people.shards import load_identities
from backend.training.config import SampleConfig
from backend.training.halos import GONE, HEIGHTS, WIDEST, Halo
from backend.training.paint_layers import overlaid
from backend.training.samples import draw_samples

SIZE = 48
SOFT = 4
"""Pixels beyond which an edge's softening is not seen."""


def head():
    """A picture of one colour, its places (a sheet 24 cm wide and high) and the photo's confidence, 1 in the middle."""
    y, x = np.mgrid[:SIZE, :SIZE]
    place = np.stack([(x - (SIZE - 1) / 2) * 0.005, 0.12 - 0.005 * y, np.full((SIZE, SIZE), 0.01)], -1)
    confidence = 1 - np.abs(x - (SIZE - 1) / 2) / (SIZE / 2)
    return np.full((SIZE, SIZE, 4), 128, np.uint8), place.astype(np.float16), confidence


def everywhere():
    return np.ones((SIZE, SIZE), bool)


@given(st.integers(0, 2**32))
def test_what_the_photo_is_sure_of_and_what_is_no_head_stays(seed):
    rim = Halo.draw(np.random.default_rng(seed))
    picture, place, confidence = head()
    layer = rim.layer(place, confidence, everywhere())
    painted = overlaid(picture, [layer])
    sure = np.flatnonzero(confidence[0] > WIDEST[1])
    assert (painted[:, sure[SOFT:-SOFT]] == 128).all()
    assert (painted[..., 3] == 128).all()
    assert (overlaid(picture, [layer], share=0.0) == picture).all()
    for head_less in (rim.layer(place, confidence, ~everywhere()), rim.layer(0 * place, confidence, everywhere())):
        assert (overlaid(picture, [head_less]) == picture).all()


def test_each_side_has_its_own_strength_and_colour_at_each_height():
    red, blue = [255.0, 0, 0], [0, 0, 255.0]
    strengths = np.stack([HEIGHTS > 0, HEIGHTS < 0]).astype(float)
    picture, place, confidence = head()
    rim = Halo(0.3, strengths, np.array([red, blue]))
    painted = overlaid(picture, [rim.layer(place, confidence, everywhere())])
    assert (painted[:20, 0, :3] == red).all()
    assert (painted[28:, -1, :3] == blue).all()
    assert (painted[:20, -1] == 128).all()
    assert (painted[28:, 0] == 128).all()


def test_drawn_rims_are_mostly_bright_and_on_any_side():
    rng = np.random.default_rng(0)
    rims = [Halo.draw(rng) for _ in range(300)]
    assert {tuple((rim.strengths > 0).any(1)) for rim in rims} == {(True, True), (True, False), (False, True)}
    levels = np.array([rim.colors.mean() for rim in rims])
    assert np.mean(levels > 160) > 0.6
    assert 0.08 < np.mean(levels < 60) < 0.4
    for rim in rims:
        assert WIDEST[0] <= rim.confidence <= WIDEST[1]
        assert rim.strengths.min() >= 0
        assert rim.strengths.max() <= 1


def test_a_true_view_loses_it_as_it_turns():
    turns = np.linspace(0, np.pi / 2, 50)
    left = Halo.left(turns)
    assert (np.diff(left) <= 0).all()
    assert (left[turns <= GONE[0]] == 1).all()
    assert (left[turns >= GONE[1]] == 0).all()


@pytest.mark.parametrize(("degrees", "kept"), [(0, True), (60, False)])
def test_samples_have_it_in_all_pictures_but_the_truth_of_a_turned_view(tmp_path, degrees, kept):
    write_tiny_corpus(tmp_path, [1])
    identity = load_identities(tmp_path, held_out=False)[0]
    identity.confidence[:] = 0
    identity.angles[:, 0] = degrees
    identity.angles[0] = 0
    settings = {"views": 1, "crop": 32, "dropped": 0.0, "portrait_view": 0.0, "unplaced": 0.0}
    changed = {"seen": False, "warped": False, "truth": False, "reference": False}
    for seed in range(6):
        plain, rimmed = (
            draw_samples([identity], SampleConfig(rimmed=share, **settings), np.random.default_rng(seed))
            for share in (0.0, 1.0)
        )
        inside = (plain.weight > 0) & (plain.views.place[:, :, 2:] != 0)
        for name, where, a, b in (
            ("seen", inside, plain.views.color, rimmed.views.color),
            ("warped", inside, plain.views.warped, rimmed.views.warped),
            ("truth", inside, plain.truth, rimmed.truth),
            ("reference", True, plain.reference.stacked(), rimmed.reference.stacked()),
        ):
            changed[name] |= bool(((a != b) & where).any())
    assert changed == {"seen": True, "warped": True, "truth": kept, "reference": True}


def test_an_avatar_fills_a_turned_heads_side_with_less_of_it_than_a_warped_portrait_shows(tmp_path):
    write_tiny_corpus(tmp_path, [1])
    identity = load_identities(tmp_path, held_out=False)[0]
    identity.confidence[:] = 0
    identity.angles[1:, 0] = 60
    identity.warped[:] = identity.raw[..., :3]
    settings = {"views": 1, "crop": 32, "dropped": 0.0, "portrait_view": 0.0, "unplaced": 0.0}
    differ = 0
    for seed in range(6):
        plain, rimmed = (
            draw_samples([identity], SampleConfig(rimmed=share, **settings), np.random.default_rng(seed)).views
            for share in (0.0, 1.0)
        )
        inside = (plain.place[:, :, 2:] != 0).expand(-1, -1, 3, -1, -1)
        seen = (rimmed.color - plain.color).abs()[inside]
        warped = (rimmed.warped - plain.warped).abs()[inside]
        assert (seen <= warped + 2 / 255).all()
        differ += int(seen.mean() < 0.99 * warped.mean())
    assert differ >= 4
