"""Caps sit on the upper head only, on the same places in every picture."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.training.caps import AXIS, BRIM, CROWN, SLOPE, Cap
from backend.training.config import SampleConfig
from backend.training.corpus import load_identities
from backend.training.samples import draw_batch

SIZE = 48
SOFT = 3
"""Pixels beyond which an edge's softening is not seen."""


def head(shift: int = 0) -> np.ndarray:
    """(SIZE, SIZE, 3): a cylinder of 9 cm radius about the head's axis, 24 cm high, seen from in front."""
    y, x = np.mgrid[:SIZE, :SIZE]
    across = (x - shift - (SIZE - 1) / 2) * 0.005
    seen = np.abs(across) < 0.088
    forward = AXIS + np.sqrt(np.maximum(0.09**2 - across**2, 0))
    return (np.stack([across, 0.12 - 0.005 * y, forward], -1) * seen[..., None]).astype(np.float16)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_a_cap_is_above_its_brim_and_moves_with_the_head(seed):
    cap = Cap.draw(np.random.default_rng(seed))
    picture = np.full((SIZE, SIZE, 4), 128, np.uint8)
    painted, moved = cap.paint(picture, head()), cap.paint(picture, head(3))
    assert (painted[..., 3] == 128).all()
    assert np.abs(painted[:, 4:-8].astype(int) - moved[:, 7:-5]).max() <= 1
    # No lower than any brim can be, less the softening.
    place, shown = head().astype(float), head().any(-1)
    lowest = BRIM[0] - np.max(np.multiply.outer(SLOPE, place[..., 2]), 0) - SOFT * 0.005
    assert (painted[shown & (place[..., 1] < lowest)] == 128).all()
    assert (painted[:, [0, 1, -2, -1]] == 128).all()


def plain_cap(panels=(), bands=(), mirrored=False, colors=None) -> Cap:
    colors = np.float32(colors).reshape(len(panels) + 1, len(bands) + 1, 3)
    return Cap(0.0, 0.0, np.float32(panels), np.float32(bands), mirrored, colors, 1.0)


def test_panels_follow_each_other_about_the_head():
    red, blue = [255, 0, 0], [0, 0, 255]
    row = plain_cap(panels=[0.0], colors=[red, blue]).paint(np.zeros((SIZE, SIZE, 3), np.uint8), head())[10]
    assert (row[8:22] == red).all()
    assert (row[26:40] == blue).all()
    both = plain_cap(panels=[0.5], mirrored=True, colors=[red, blue])
    row = both.paint(np.zeros((SIZE, SIZE, 3), np.uint8), head())[10]
    assert (row == row[::-1]).all()
    assert (row[20:28] == red).all()
    assert (row[9:12] == blue).all()


def test_bands_lie_above_each_other():
    red, blue = [255, 0, 0], [0, 0, 255]
    painted = plain_cap(bands=[0.05], colors=[red, blue]).paint(np.zeros((SIZE, SIZE, 3), np.uint8), head())
    column = painted[:, SIZE // 2]
    assert (column[17:21] == red).all()
    assert (column[:11] == blue).all()
    assert (column[28:] == 0).all()


def test_without_places_nothing_is_painted():
    picture = np.full((SIZE, SIZE, 3), 50, np.uint8)
    cap = Cap.draw(np.random.default_rng(0))
    assert (cap.paint(picture, np.zeros((SIZE, SIZE, 3))) == picture).all()


def test_drawn_caps_are_of_several_kinds():
    rng = np.random.default_rng(0)
    caps = [Cap.draw(rng) for _ in range(200)]
    assert {cap.mirrored for cap in caps} == {True, False}
    assert min(len(cap.panels) for cap in caps) == min(len(cap.bands) for cap in caps) == 0
    for cap in caps:
        assert (np.diff(cap.panels) >= 0).all()
        assert (np.diff(cap.bands) >= 0).all()
        assert (cap.bands <= CROWN).all()
        assert cap.colors.shape == (len(cap.panels) + 1, len(cap.bands) + 1, 3)
    # A dark cap with a bright part is not rare.
    grey = [cap.colors.mean(-1) for cap in caps]
    assert np.mean([g.min() < 40 and g.max() > 215 for g in grey]) > 0.1


@pytest.mark.parametrize("capped", [0.0, 1.0])
def test_a_sample_s_pictures_wear_the_same_cap(tiny_corpus, capped):
    identities = load_identities(tiny_corpus, held_out=False)
    plain = dict(crop=32, dropped=0.0, unplaced=0.0)
    differ = dict.fromkeys(("views", "truth", "reference"), False)
    for seed in range(6):
        without, worn = (
            draw_batch(identities, SampleConfig(**plain, capped=share), 1, np.random.default_rng(seed))
            for share in (0.0, capped)
        )
        for name in differ:
            differ[name] |= bool((getattr(worn, name) != getattr(without, name)).any())
    assert set(differ.values()) == {capped > 0}
