"""Caps sit on the upper head and collars about the neck only, on the same places in every picture."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.people.shards import load_identities
from backend.training.config import SampleConfig
from backend.training.garments import AXIS, BRIM, CAP_SLOPE, COLLAR_SLOPE, CROWN, DEPTH, NECKLINE, Garment
from backend.training.paint_layers import overlaid
from backend.training.samples import draw_batch

SIZE = 48
BLACK = np.zeros((SIZE, SIZE, 3), np.uint8)
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
@given(seed=st.integers(0, 10_000), kind=st.sampled_from([Garment.cap, Garment.collar]))
def test_a_garment_stays_on_its_side_of_the_edge_and_moves_with_the_head(seed, kind):
    garment = kind(np.random.default_rng(seed))
    picture = np.full((SIZE, SIZE, 4), 128, np.uint8)
    painted, moved = overlaid(picture, garment.layers(head())), overlaid(picture, garment.layers(head(3)))
    assert (painted[..., 3] == 128).all()
    assert np.abs(painted[:, 4:-8].astype(int) - moved[:, 7:-5]).max() <= 1
    # No lower than any brim can be and no higher than any collar's edge, less the softening.
    place, shown = head().astype(float), head().any(-1)
    if kind == Garment.cap:
        lowest = BRIM[0] - np.max(np.multiply.outer(CAP_SLOPE, place[..., 2]), 0) - SOFT * 0.005
        assert (painted[shown & (place[..., 1] < lowest)] == 128).all()
    else:
        highest = NECKLINE[1] - np.min(np.multiply.outer(COLLAR_SLOPE, place[..., 2]), 0) + SOFT * 0.005
        assert (painted[shown & (place[..., 1] > highest)] == 128).all()
    assert (painted[:, [0, 1, -2, -1]] == 128).all()


def plain_cap(panels=(), bands=(), mirrored=False, colors=None) -> Garment:
    colors = np.float32(colors).reshape(len(panels) + 1, len(bands) + 1, 3)
    return Garment(0.0, 0.0, True, np.float32(panels), np.float32(bands), mirrored, colors, 1.0)


def test_panels_follow_each_other_about_the_head():
    red, blue = [255, 0, 0], [0, 0, 255]
    row = overlaid(BLACK, plain_cap(panels=[0.0], colors=[red, blue]).layers(head()))[10]
    assert (row[8:22] == red).all()
    assert (row[26:40] == blue).all()
    both = plain_cap(panels=[0.5], mirrored=True, colors=[red, blue])
    row = overlaid(BLACK, both.layers(head()))[10]
    assert (row == row[::-1]).all()
    assert (row[20:28] == red).all()
    assert (row[9:12] == blue).all()


def test_bands_lie_above_each_other():
    red, blue = [255, 0, 0], [0, 0, 255]
    painted = overlaid(BLACK, plain_cap(bands=[0.05], colors=[red, blue]).layers(head()))
    column = painted[:, SIZE // 2]
    assert (column[17:21] == red).all()
    assert (column[:11] == blue).all()
    assert (column[28:] == 0).all()
    collar = replace(plain_cap(bands=[0.05], colors=[red, blue]), upwards=False)
    column = overlaid(BLACK, collar.layers(head()))[:, SIZE // 2]
    assert (column[:21] == 0).all()
    assert (column[27:31] == red).all()
    assert (column[37:] == blue).all()


def test_without_places_nothing_is_painted():
    picture = np.full((SIZE, SIZE, 3), 50, np.uint8)
    cap = Garment.cap(np.random.default_rng(0))
    assert (overlaid(picture, cap.layers(np.zeros((SIZE, SIZE, 3)))) == picture).all()


@pytest.mark.parametrize(("kind", "reach"), [(Garment.cap, CROWN), (Garment.collar, DEPTH)])
def test_drawn_garments_are_of_several_kinds(kind, reach):
    rng = np.random.default_rng(0)
    drawn = [kind(rng) for _ in range(200)]
    assert {garment.mirrored for garment in drawn} == {True, False}
    assert min(len(garment.panels) for garment in drawn) == min(len(garment.bands) for garment in drawn) == 0
    for garment in drawn:
        assert (np.diff(garment.panels) >= 0).all()
        assert (np.diff(garment.bands) >= 0).all()
        assert (garment.bands <= reach).all()
        assert garment.colors.shape == (len(garment.panels) + 1, len(garment.bands) + 1, 3)
    # A dark one with a bright part is not rare.
    grey = [garment.colors.mean(-1) for garment in drawn]
    assert np.mean([g.min() < 40 and g.max() > 215 for g in grey]) > 0.1


@pytest.mark.parametrize("share", [0.0, 1.0])
@pytest.mark.parametrize("worn", ["capped", "collared"])
def test_a_sample_s_pictures_wear_the_same_garment(tiny_corpus, worn, share, monkeypatch):
    # The corpus' discs end above any collar.
    monkeypatch.setattr("backend.training.garments.NECKLINE", (0.0, 0.1))
    identities = load_identities(tiny_corpus, held_out=False)
    plain = dict(crop=32, dropped=0.0, unplaced=0.0)
    differ = [False] * 3
    for seed in range(6):
        without, dressed = (
            draw_batch(identities, SampleConfig(**plain, **{worn: often}), 1, np.random.default_rng(seed))
            for often in (0.0, share)
        )
        pictures = ((batch.views.color, batch.truth, batch.reference.color) for batch in (without, dressed))
        differ = [known or bool((a != b).any()) for known, a, b in zip(differ, *pictures, strict=True)]
    assert set(differ) == {share > 0}
