"""Head and neck alone are refined, and the networks see no more than a box around them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_refiners import SIZE, random_view, tiny_refiner, tiny_refiner_with_coordinates

from backend.refiner import RefinerConfig
from backend.refiner.head_space import BESIDE, CHIN, NECK
from backend.refiner.network.coordinates import scaled_places
from backend.refiner.network.head_share import head_share
from backend.refiner.runtime.boxes import Boxes
from backend.refiner.runtime.reference import ReferenceState
from backend.refiner.views import LEAST_HEAD

STEP = 8
"""The tiny refiner's grid: latents of 4 pixels, two resolutions."""


def person(seed: int, top: int = 4, left: int = 8, side: int = 12):
    """A view of a head in a square of `side` pixels, with shoulders below it down to the picture's edge."""
    place = np.zeros((SIZE, SIZE, 3), np.float32)
    rows, columns = np.mgrid[:SIZE, :SIZE]
    inside = (columns >= left) & (columns < left + side) & (rows >= top)
    heights = 0.1 - (rows - top) / side * (0.1 - NECK[0])
    place[inside] = np.stack([0.001 + 0 * heights, heights, 0.05 + 0 * heights], -1)[inside]
    view = random_view(seed, confidence=0.0)
    rgba = view.rgba.copy()
    rgba[..., 3] = np.where(inside, 255, 0)
    return replace(view, rgba=rgba, place=place, warped=rgba[..., :3])


@pytest.fixture
def refiner():
    refiner = tiny_refiner_with_coordinates()
    refiner.config = replace(refiner.config, head_only=True)
    return refiner


def watched_sizes(refiner, monkeypatch):
    """The sizes of the pictures that the autoencoder is shown from now on."""
    sizes, encode = [], refiner.encode_images

    def watch(images):
        sizes.append(tuple(images.color.shape[-2:]))
        return encode(images)

    monkeypatch.setattr(refiner, "encode_images", watch)
    return sizes


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(*[st.integers(0, 31)] * 4), min_size=1, max_size=4),
    st.sampled_from([4, 8, 16]),
    st.integers(1, 32),
)
def test_boxes_hold_what_is_shown_and_lie_on_the_grid(corners, step, least):
    shown = np.zeros((len(corners), 32, 32), bool)
    for picture, (a, b, c, d) in zip(shown, corners, strict=True):
        picture[min(a, b) : max(a, b) + 1, min(c, d) : max(c, d) + 1] = True
    least = -(-least // step) * step
    found = Boxes.around(shown, step)
    for boxes in (found, found.grown(least, step, 32)):
        cut = boxes.cut(shown)
        assert cut.shape[1:] == (boxes.height, boxes.width)
        assert np.array_equal(cut.sum((1, 2)), shown.sum((1, 2)))
        assert all(x % step == 0 for x in (boxes.height, boxes.width, *sum(boxes.corners, ())))
        pasted = np.zeros_like(shown)
        boxes.paste(cut, pasted)
        assert np.array_equal(pasted, shown)
    tallest = max(abs(a - b) + 1 for a, b, _, _ in corners)
    assert found.height < tallest + 2 * step
    assert boxes.height >= least


def test_what_is_shown_nowhere_has_a_box_all_the_same():
    assert Boxes.around(np.zeros((2, 16, 16), bool), 8) == Boxes([(0, 0), (0, 0)], 8, 8)


@pytest.mark.parametrize(
    ("place", "share"),
    [
        ((0.0, 0.1, 0.0), 1.0),
        ((0.3, CHIN[1] + 0.001, 0.0), 1.0),
        ((BESIDE[1] + 0.001, CHIN[0] - 0.001, 0.0), 0.0),
        ((-BESIDE[0] + 0.001, NECK[1] + 0.001, 0.0), 1.0),
        ((0.001, NECK[0] - 0.001, 0.0), 0.0),
        ((0.001, sum(NECK) / 2, 0.0), 0.5),
    ],
)
def test_head_and_neck_are_what_is_changed(place, share):
    places = scaled_places(torch.tensor(place).expand(2, 2, 3)).movedim(-1, -3)
    torch.testing.assert_close(head_share(places), torch.full((1, 2, 2), share), rtol=0, atol=1e-4)


def test_where_no_place_is_known_everything_may_change():
    assert head_share(torch.zeros(3, 4, 4)).eq(1).all()


def test_below_the_neck_every_pixel_stays(refiner):
    views = [person(1), person(2, top=8, left=4)]
    state = refiner.encode_reference(views[0].rgba, views[0].place)
    for view, refined in zip(views, refiner.refine(views, state), strict=True):
        share = head_share(scaled_places(torch.from_numpy(view.place)).movedim(-1, -3))[0].numpy()
        changed = (refined != view.rgba[..., :3]).any(-1)
        assert not changed[share == 0].any()
        assert changed[share == 1].mean() > 0.9


def test_clothes_stay_where_a_view_says_which_they_are(refiner):
    view = person(1)
    plain = refiner.refine([view], None)[0].astype(int)
    # Hair, a collar's edge, a collar.
    for part, share in ((slice(0, 6), 1.0), (slice(6, 8), LEAST_HEAD / 2), (slice(8, SIZE), 0.0)):
        head = np.ones((SIZE, SIZE), np.float32)
        head[part] = share
        refined = refiner.refine([replace(view, head=head)], None)[0].astype(int)
        raw = view.rgba[..., :3]
        expected = plain if share == 1 else raw + share / LEAST_HEAD * (plain - raw)
        assert (refined[head == 1] == plain[head == 1]).all()
        np.testing.assert_allclose(refined[part], expected[part], atol=0.51)
        assert (plain[part] != raw[part]).any()
    refiner.config = replace(refiner.config, head_only=False)
    assert (refiner.refine([replace(view, head=head)], None)[0] != view.rgba[..., :3])[part].any()


def test_the_networks_see_a_box_around_the_heads(refiner, monkeypatch):
    views = [person(1, top=3, left=2, side=10), person(2, top=9, left=17, side=10)]
    state = refiner.encode_reference(views[0].rgba, views[0].place)
    sizes = watched_sizes(refiner, monkeypatch)
    refiner.refine(views, state)
    assert sizes == [(16, 16)]


def test_a_head_that_fills_the_picture_is_refined_as_without_boxes(refiner, monkeypatch):
    view = person(3, top=0, left=0, side=SIZE)
    state = refiner.encode_reference(view.rgba, view.place)
    (boxed,) = refiner.refine([view], state)
    monkeypatch.setattr("backend.refiner.runtime.refining.head_boxes", lambda *_: None)
    assert np.array_equal(boxed, refiner.refine([view], state)[0])


def test_views_may_come_in_any_order(refiner):
    views = [person(1), person(2, top=8, left=4)]
    state = refiner.encode_reference(views[0].rgba, views[0].place)
    there, back = refiner.refine(views, state), refiner.refine(views[::-1], state)[::-1]
    assert max(np.abs(a.astype(int) - b).max() for a, b in zip(there, back, strict=True)) <= 1


def test_a_larger_portrait_keeps_its_head_whole(refiner, monkeypatch):
    small, large = person(1, top=10, left=12, side=6), person(2, top=0, left=2, side=20)
    state = refiner.encode_reference(large.rgba, large.place)
    sizes = watched_sizes(refiner, monkeypatch)
    refiner.refine([small], state)
    assert sizes == [(24, 24)]


@pytest.mark.parametrize("reference", [None, "unplaced", "two"])
def test_any_reference_will_do(refiner, reference):
    view = person(1)
    placed = refiner.encode_reference(view.rgba, view.place)
    state = {
        None: None,
        "unplaced": refiner.encode_reference(view.rgba),
        "two": ReferenceState(np.concatenate([placed.latent, placed.latent])),
    }[reference]
    (refined,) = refiner.refine([view], state)
    assert (refined != view.rgba[..., :3]).any()


def test_views_that_know_no_place_are_refined_whole(refiner, monkeypatch):
    view = random_view(1, confidence=0.0)
    opaque = np.dstack([view.rgba[..., :3], np.full((SIZE, SIZE), 255, np.uint8)])
    sizes = watched_sizes(refiner, monkeypatch)
    refiner.refine([replace(view, rgba=opaque)], None)
    assert sizes == [(SIZE, SIZE)]


def test_it_needs_to_know_where_the_head_is(tmp_path):
    refiner = tiny_refiner()
    replace(refiner.config, head_only=True).save(tmp_path)
    with pytest.raises(ValueError, match="head_only needs coordinates"):
        RefinerConfig.load(tmp_path)
